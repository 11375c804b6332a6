/* SPDX-License-Identifier: MIT */
/*
 * disk -- the simulated disk of one node: files and directories as on Linux, what a power loss leaves
 * of them, and everything that goes wrong with a disk. docs/design/sim-disk.md
 *
 *     world --how long does it take?--> disk      takes
 *           --now do it---------------> disk      open, read, write, sync, rename, ...
 *           --the power is gone-------> disk      crash
 *
 *     path.h     from a path to a place in the tree
 *     tree.h     inodes, directories, and the changes that are not durable yet
 *     content.h  bytes: what is in memory, what is on the platter
 *
 * It has no time of its own: whoever asks waits for as long as `takes` says, and then has the thing
 * done, at once and as a whole. Every decision is a choice of the family WI_SIM_DISK, and all are 0
 * on a day without faults: what is not synced survives a crash then, too.
 *
 * What is promised: bytes are durable when a sync after them has said 0, and so is the size. A name is
 * durable when a sync of its directory has. A rename is whole or has not happened. A sector is new or
 * old, never a mixture. Nothing else survives for certain, and nothing else is lost for certain.
 *
 * Results are those of the system calls, negative errors included. An open file belongs to who opened
 * it and is closed before the crash. One world owns the disk; one thread uses it.
 */
#ifndef WI_BACKEND_SIM_DISK_H
#define WI_BACKEND_SIM_DISK_H

#include <sys/types.h>

#include "backend/backend.h"
#include "backend/sim/choice.h"
#include "backend/sim/content.h"
#include "backend/sim/faults.h"

struct statx;
struct wi_sim_disk;
struct wi_sim_open; /* an open file description */

/* What memory alone answers takes this long. */
#define WI_SIM_MEMORY_NS 1000

/* An empty root. Choices and faults are borrowed; faults are looked at with each call, for they may
 * change. Capacity 0: without limit. -ENOMEM. */
int wi_sim_disk_open(struct wi_sim_disk **out, struct wi_choices *choices,
                     const struct wi_sim_faults *faults, uint64_t capacity_bytes);

/* From now on these faults; borrowed, too. */
void wi_sim_disk_heed(struct wi_sim_disk *disk, const struct wi_sim_faults *faults);

/* Nothing is open. NULL is nothing. */
void wi_sim_disk_close(struct wi_sim_disk *disk);

/* ---- open files ---- */

/* open(2). Unknown flags are ignored, as Linux does; O_PATH and O_TMPFILE are -EOPNOTSUPP, O_DIRECT
 * is -EINVAL, as for file systems that have it not. The umask is 022, and nobody lacks permission. */
int wi_sim_file_open(struct wi_sim_disk *disk, const char *path, int flags, unsigned mode,
                     struct wi_sim_open **out);

void wi_sim_file_close(struct wi_sim_disk *disk, struct wi_sim_open *open);

/* pread(2), pwrite(2): O_APPEND writes at the end whatever `off` is. */
ssize_t wi_sim_file_read(struct wi_sim_disk *disk, struct wi_sim_open *open, void *mem, size_t len,
                         uint64_t off);
ssize_t wi_sim_file_write(struct wi_sim_disk *disk, struct wi_sim_open *open, const void *mem,
                          size_t len, uint64_t off);

/* preadv2(2) with RWF_NOWAIT: what is cached, maybe less; 0 at the end; -EAGAIN: ask the disk. With
 * the odds file_short memory has just been needed for something else: a part is cached no more. */
ssize_t wi_sim_file_try_read(struct wi_sim_disk *disk, struct wi_sim_open *open, void *mem,
                             size_t len, uint64_t off);

/* fsync(2) and fdatasync(2), which are one: there are no times, and both write the size. Of a
 * directory: its names. Each file that was open when a sync failed says so once. */
int wi_sim_file_sync(struct wi_sim_disk *disk, struct wi_sim_open *open);

/* ftruncate(2). */
int wi_sim_file_truncate(struct wi_sim_disk *disk, struct wi_sim_open *open, uint64_t size);

void wi_sim_file_stat(const struct wi_sim_open *open, struct statx *out);

/* As WI_CTL_FILE: 0, -EISDIR. */
int wi_sim_file_check(const struct wi_sim_open *open);

/* ---- paths ---- */

int wi_sim_disk_mkdir(struct wi_sim_disk *disk, const char *path, unsigned mode);
int wi_sim_disk_rename(struct wi_sim_disk *disk, const char *from, const char *to);
int wi_sim_disk_unlink(struct wi_sim_disk *disk, const char *path, bool dir);
int wi_sim_disk_stat(struct wi_sim_disk *disk, const char *path, struct statx *out);

/* ---- the names of sockets ---- */

/* bind(2): a new name. `socket` is the binder's word for itself, not 0; a crash forgets it, and
 * leaves the name or not. -EADDRINUSE, -ENOENT, ... */
int wi_sim_disk_bind(struct wi_sim_disk *disk, const char *path, uint64_t socket);

/* What was bound there. -ENOENT; -ECONNREFUSED: no socket, or one of before the crash. */
int wi_sim_disk_connect(struct wi_sim_disk *disk, const char *path, uint64_t *out);

/* As WI_CTL_STATPATH: device and inode; -ENOTSOCK. */
int wi_sim_disk_stat_socket(struct wi_sim_disk *disk, const char *path, uint64_t out[2]);

/* ---- the world's side ---- */

/* How long a request takes whose file is `open` (NULL for paths): WI_SIM_MEMORY_NS where no disk is
 * asked, else something between disk_ns_min and disk_ns_max, a hundred times that, or WEIR_FOREVER. */
weir_ns wi_sim_disk_takes(struct wi_sim_disk *disk, const struct wi_req *req,
                          const struct wi_sim_open *open);

/* Power loss. Everything open has been closed. What it took, for a trace. */
struct wi_sim_loss wi_sim_disk_crash(struct wi_sim_disk *disk);

/* Of all that is visible, durable and pending, inode by inode in the order of their making. */
uint64_t wi_sim_disk_hash(const struct wi_sim_disk *disk);

/* Aborts if a structure is not what its rules make it. Walks everything. */
void wi_sim_disk_audit(const struct wi_sim_disk *disk);

#endif /* WI_BACKEND_SIM_DISK_H */
