/* SPDX-License-Identifier: MIT */
/* disk -- calls and what goes wrong with them; the contract is in disk.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx, O_DIRECT, O_TMPFILE */
#endif
#include "backend/sim/disk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/sim/path.h"
#include "base/require.h"

enum { PERMISSIONS = 07777, UMASK = 022, SLOW = 100, DEVICE = 0xD15C };

/* The most of one read or write on Linux; read(2), "Notes". */
#define CALL_MAX 0x7ffff000u

struct wi_sim_disk {
    struct wi_sim_tree tree;
    struct wi_sim_medium medium;
};

struct wi_sim_open {
    struct wi_sim_inode *inode;
    int flags;
    uint64_t errors; /* of inode->errors, those that were told here */
};

/* Whether a fault of this name does. */
#define happens(disk, fault) \
    wi_strikes((disk)->medium.choices, WI_SIM_DISK, (disk)->medium.faults->fault)

int wi_sim_disk_open(struct wi_sim_disk **out, struct wi_choices *choices,
                     const struct wi_sim_faults *faults, uint64_t capacity_bytes)
{
    struct wi_sim_disk *disk = malloc(sizeof *disk);
    if (disk == NULL)
        return -ENOMEM;
    int rc = wi_sim_tree_init(&disk->tree, capacity_bytes);
    if (rc < 0) {
        free(disk);
        return rc;
    }
    disk->medium = (struct wi_sim_medium){.choices = choices, .faults = faults};
    *out = disk;
    return 0;
}

void wi_sim_disk_heed(struct wi_sim_disk *disk, const struct wi_sim_faults *faults)
{
    disk->medium.faults = faults;
}

void wi_sim_disk_close(struct wi_sim_disk *disk)
{
    if (disk == NULL)
        return;
    wi_sim_tree_drop(&disk->tree);
    free(disk);
}

/* ---- open ---- */

static bool writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

static int check_flags(int flags)
{
    if ((flags & O_PATH) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
        return -EOPNOTSUPP;
    if ((flags & O_DIRECT) != 0 || (flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return -EINVAL; /* since Linux 6.4; open(2), "BUGS" */
    return 0;
}

/* What stands against opening a thing that is there. */
static int may_open(const struct wi_sim_spot *spot, int flags)
{
    bool dir = wi_sim_is_dir(spot->inode);
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
        return -EEXIST;
    if (dir && ((flags & (O_CREAT | O_TRUNC)) != 0 || writes(flags)))
        return -EISDIR;
    if (!dir && (spot->slash || (flags & O_DIRECTORY) != 0))
        return -ENOTDIR;
    return S_ISSOCK(spot->inode->mode) ? -ENXIO : 0;
}

static int create(struct wi_sim_disk *disk, struct wi_sim_spot *spot, uint32_t mode)
{
    if (happens(disk, no_space))
        return -ENOSPC;
    return wi_sim_tree_create(&disk->tree, spot->dir, spot->name, spot->len, mode, &spot->inode);
}

static int find_or_create(struct wi_sim_disk *disk, const char *path, int flags, unsigned mode,
                          struct wi_sim_spot *spot)
{
    int rc = wi_sim_path_walk(&disk->tree, path, spot);
    if (rc < 0)
        return rc;
    if ((flags & O_CREAT) != 0 && spot->slash)
        return -EISDIR;
    if (spot->inode != NULL)
        return may_open(spot, flags);
    if ((flags & O_CREAT) == 0)
        return -ENOENT;
    return create(disk, spot, S_IFREG | (mode & PERMISSIONS & ~UMASK));
}

int wi_sim_file_open(struct wi_sim_disk *disk, const char *path, int flags, unsigned mode,
                     struct wi_sim_open **out)
{
    struct wi_sim_spot spot;
    int rc = check_flags(flags);
    if (rc < 0)
        return rc;
    struct wi_sim_open *open = malloc(sizeof *open);
    if (open == NULL)
        return -ENOMEM;
    rc = find_or_create(disk, path, flags, mode, &spot);
    if (rc == 0 && (flags & O_TRUNC) != 0)
        rc = wi_sim_content_truncate(&spot.inode->content, 0);
    if (rc < 0) {
        free(open);
        return rc;
    }
    *open = (struct wi_sim_open){spot.inode, flags, spot.inode->errors};
    wi_sim_tree_hold(spot.inode);
    *out = open;
    return 0;
}

void wi_sim_file_close(struct wi_sim_disk *disk, struct wi_sim_open *open)
{
    wi_sim_tree_release(&disk->tree, open->inode);
    free(open);
}

int wi_sim_file_check(const struct wi_sim_open *open)
{
    return wi_sim_is_dir(open->inode) ? -EISDIR : 0;
}

/* ---- reading and writing ---- */

/* rw_verify_area() of Linux: no place, and no end, is above INT64_MAX. */
static int check_range(size_t len, uint64_t off)
{
    return off > INT64_MAX || len > INT64_MAX - off ? -EINVAL : 0;
}

static int may_read(const struct wi_sim_open *open, size_t len, uint64_t off)
{
    if ((open->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (wi_sim_is_dir(open->inode))
        return -EISDIR;
    return check_range(len, off);
}

/* Less than asked, if there is less than that. The quiet answer is one byte less. */
static size_t shortened(struct wi_sim_disk *disk, size_t len)
{
    if (len < 2 || !happens(disk, file_short))
        return len;
    return len - 1 - wi_choose(disk->medium.choices, WI_SIM_DISK, len - 1);
}

/* What is asked and lies before the end. */
static size_t within(const struct wi_sim_open *open, size_t len, uint64_t off)
{
    uint64_t size = open->inode->content.size;
    uint64_t rest = off < size ? size - off : 0;
    len = len < CALL_MAX ? len : CALL_MAX;
    return len < rest ? len : (size_t)rest;
}

ssize_t wi_sim_file_read(struct wi_sim_disk *disk, struct wi_sim_open *open, void *mem, size_t len,
                         uint64_t off)
{
    struct wi_sim_content *content = &open->inode->content;
    int rc = may_read(open, len, off);
    if (rc < 0)
        return rc;
    if ((len = within(open, len, off)) == 0)
        return 0;
    if (wi_sim_content_cached(content, len, off) < len && happens(disk, read_error))
        return -EIO;
    return wi_sim_content_read(content, mem, shortened(disk, len), off);
}

ssize_t wi_sim_file_try_read(struct wi_sim_disk *disk, struct wi_sim_open *open, void *mem,
                             size_t len, uint64_t off)
{
    struct wi_sim_content *content = &open->inode->content;
    int rc = may_read(open, len, off);
    if (rc < 0)
        return rc;
    if ((len = within(open, len, off)) == 0)
        return 0;
    size_t cached = wi_sim_content_cached(content, len, off);
    if (cached > 0 && happens(disk, file_short)) {
        size_t lost = 1 + wi_choose(disk->medium.choices, WI_SIM_DISK, cached);
        wi_sim_content_evict(content, lost, off + cached - lost);
        cached = wi_sim_content_cached(content, len, off);
    }
    return cached > 0 ? wi_sim_content_read(content, mem, cached, off) : -EAGAIN;
}

static int flush(struct wi_sim_disk *disk, struct wi_sim_open *open, uint64_t off, uint64_t end);

/* A write that has reached memory, of a file that wants more than that. O_SYNC has O_DSYNC in it. */
static ssize_t written(struct wi_sim_disk *disk, struct wi_sim_open *open, ssize_t done,
                       uint64_t off)
{
    if (done <= 0 || (open->flags & O_DSYNC) == 0)
        return done;
    int rc = flush(disk, open, off, off + (uint64_t)done);
    return rc < 0 ? rc : done;
}

ssize_t wi_sim_file_write(struct wi_sim_disk *disk, struct wi_sim_open *open, const void *mem,
                          size_t len, uint64_t off)
{
    struct wi_sim_content *content = &open->inode->content;
    if (!writes(open->flags))
        return -EBADF;
    int rc = check_range(len, off);
    if (rc < 0 || len == 0)
        return rc;
    if ((open->flags & O_APPEND) != 0)
        off = content->size; /* pwrite(2), "BUGS" */
    if (happens(disk, write_error))
        return -EIO;
    if (happens(disk, no_space))
        return -ENOSPC;
    len = shortened(disk, len < CALL_MAX ? len : CALL_MAX);
    return written(disk, open, wi_sim_content_write(content, mem, len, off), off);
}

int wi_sim_file_truncate(struct wi_sim_disk *disk, struct wi_sim_open *open, uint64_t size)
{
    (void)disk;
    if (!writes(open->flags) || size > INT64_MAX)
        return -EINVAL;
    return wi_sim_content_truncate(&open->inode->content, size);
}

/* ---- syncing ---- */

/* A sync that fails leaves the pages clean, and nobody writes them again: fsync(2), and Rebello et
 * al., "Can Applications Recover from fsync Failures?" (USENIX ATC 2020). One that lies leaves them to
 * the next honest one, as a drive's own cache would. */
static int flush(struct wi_sim_disk *disk, struct wi_sim_open *open, uint64_t off, uint64_t end)
{
    struct wi_sim_inode *inode = open->inode;
    int rc = 0;
    if (happens(disk, sync_error)) {
        wi_sim_content_clean(&inode->content, off, end);
        inode->errors++;
    } else if (!happens(disk, lying)) {
        rc = wi_sim_content_sync(&inode->content, &disk->medium, off, end);
    }
    if (open->errors != inode->errors) {
        open->errors = inode->errors;
        return -EIO;
    }
    return rc;
}

/* The journal keeps what a sync could not write: a later one may succeed. */
static int sync_dir(struct wi_sim_disk *disk, struct wi_sim_inode *dir)
{
    if (happens(disk, sync_error))
        return -EIO;
    if (!happens(disk, lying))
        wi_sim_tree_sync(&disk->tree, dir);
    return 0;
}

int wi_sim_file_sync(struct wi_sim_disk *disk, struct wi_sim_open *open)
{
    if (wi_sim_is_dir(open->inode))
        return sync_dir(disk, open->inode);
    return flush(disk, open, 0, UINT64_MAX);
}

/* ---- paths ---- */

int wi_sim_disk_mkdir(struct wi_sim_disk *disk, const char *path, unsigned mode)
{
    struct wi_sim_spot spot;
    int rc = wi_sim_path_walk(&disk->tree, path, &spot);
    if (rc < 0)
        return rc;
    if (spot.inode != NULL)
        return -EEXIST;
    return create(disk, &spot, S_IFDIR | (mode & PERMISSIONS & ~UMASK));
}

/* do_rmdir() and do_unlinkat() of Linux, for paths that end in no name. */
static int refuse_unlink(enum wi_sim_last last, bool dir)
{
    if (!dir)
        return -EISDIR;
    switch (last) {
    case WI_SIM_LAST_DOT:
        return -EINVAL;
    case WI_SIM_LAST_DOTDOT:
        return -ENOTEMPTY;
    default:
        return -EBUSY;
    }
}

int wi_sim_disk_unlink(struct wi_sim_disk *disk, const char *path, bool dir)
{
    struct wi_sim_spot spot;
    int rc = wi_sim_path_walk(&disk->tree, path, &spot);
    if (rc < 0)
        return rc;
    if (spot.last != WI_SIM_LAST_NAME)
        return refuse_unlink(spot.last, dir);
    if (spot.inode == NULL)
        return -ENOENT;
    bool is_dir = wi_sim_is_dir(spot.inode);
    if (!is_dir && (dir || spot.slash))
        return -ENOTDIR;
    if (is_dir && !dir)
        return -EISDIR;
    if (is_dir && spot.inode->now.count > 0)
        return -ENOTEMPTY;
    return wi_sim_tree_remove(&disk->tree, spot.dir, spot.entry);
}

/* In the order of do_renameat2() and vfs_rename() of Linux. */
static int refuse_rename(const struct wi_sim_tree *tree, const struct wi_sim_spot *from,
                         const struct wi_sim_spot *to)
{
    if (from->last != WI_SIM_LAST_NAME || to->last != WI_SIM_LAST_NAME)
        return -EBUSY;
    if (from->inode == NULL)
        return -ENOENT;
    bool dir = wi_sim_is_dir(from->inode);
    if (!dir && (from->slash || to->slash))
        return -ENOTDIR;
    if (dir && wi_sim_path_below(tree, to->dir, from->inode))
        return -EINVAL;
    if (to->inode == NULL || to->inode == from->inode)
        return 0;
    if (wi_sim_is_dir(to->inode) && wi_sim_path_below(tree, from->dir, to->inode))
        return -ENOTEMPTY;
    if (dir != wi_sim_is_dir(to->inode))
        return dir ? -ENOTDIR : -EISDIR;
    return dir && to->inode->now.count > 0 ? -ENOTEMPTY : 0;
}

int wi_sim_disk_rename(struct wi_sim_disk *disk, const char *from, const char *to)
{
    struct wi_sim_spot old, new;
    int rc = wi_sim_path_walk(&disk->tree, from, &old);
    if (rc < 0)
        return rc;
    if ((rc = wi_sim_path_walk(&disk->tree, to, &new)) < 0)
        return rc;
    rc = refuse_rename(&disk->tree, &old, &new);
    if (rc < 0 || old.inode == new.inode)
        return rc;
    const struct wi_sim_move move = {.from = old.dir,
                                     .to = new.dir,
                                     .entry = old.entry,
                                     .over = new.entry,
                                     .name = new.name,
                                     .len = new.len};
    return wi_sim_tree_move(&disk->tree, &move);
}

/* ---- stat ---- */

static unsigned links_of(const struct wi_sim_inode *inode)
{
    if (!wi_sim_is_dir(inode))
        return inode->named;
    unsigned links = inode->named ? 2 : 0; /* its name and its "." */
    for (size_t i = 0; i < inode->now.count; i++)
        links += wi_sim_is_dir(inode->now.at[i]->inode);
    return links;
}

static void stat_inode(const struct wi_sim_inode *inode, struct statx *out)
{
    memset(out, 0, sizeof *out);
    out->stx_mask = STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_INO | STATX_NLINK | STATX_BLOCKS;
    out->stx_blksize = WI_SIM_PAGE;
    out->stx_mode = (uint16_t)inode->mode;
    out->stx_size = wi_sim_is_dir(inode) ? WI_SIM_PAGE : inode->content.size;
    out->stx_ino = inode->number;
    out->stx_nlink = links_of(inode);
    out->stx_blocks = wi_sim_content_charged(&inode->content) / WI_SIM_SECTOR;
    out->stx_dev_minor = DEVICE;
}

void wi_sim_file_stat(const struct wi_sim_open *open, struct statx *out)
{
    stat_inode(open->inode, out);
}

int wi_sim_disk_stat(struct wi_sim_disk *disk, const char *path, struct statx *out)
{
    struct wi_sim_spot spot;
    int rc = wi_sim_path_find(&disk->tree, path, &spot);
    if (rc == 0)
        stat_inode(spot.inode, out);
    return rc;
}

/* ---- sockets ---- */

int wi_sim_disk_bind(struct wi_sim_disk *disk, const char *path, uint64_t socket)
{
    struct wi_sim_spot spot;
    wi_assert(socket != 0);
    int rc = wi_sim_path_walk(&disk->tree, path, &spot);
    if (rc < 0)
        return rc;
    if (spot.inode != NULL)
        return -EADDRINUSE;
    if (spot.slash)
        return -ENOENT; /* filename_create() of Linux */
    rc = create(disk, &spot, S_IFSOCK | (0777 & ~UMASK));
    if (rc == 0)
        spot.inode->socket = socket;
    return rc;
}

int wi_sim_disk_connect(struct wi_sim_disk *disk, const char *path, uint64_t *out)
{
    struct wi_sim_spot spot;
    int rc = wi_sim_path_find(&disk->tree, path, &spot);
    if (rc < 0)
        return rc;
    if (spot.inode->socket == 0)
        return -ECONNREFUSED;
    *out = spot.inode->socket;
    return 0;
}

int wi_sim_disk_stat_socket(struct wi_sim_disk *disk, const char *path, uint64_t out[2])
{
    struct wi_sim_spot spot;
    int rc = wi_sim_path_find(&disk->tree, path, &spot);
    if (rc < 0)
        return rc;
    if (!S_ISSOCK(spot.inode->mode))
        return -ENOTSOCK;
    out[0] = DEVICE;
    out[1] = spot.inode->number;
    return 0;
}

/* ---- the world's side ---- */

static bool asks_disk(const struct wi_req *req, const struct wi_sim_open *open)
{
    const struct wi_sim_content *content = open != NULL ? &open->inode->content : NULL;
    switch (req->opcode) {
    case WI_OP_READ:
        return content == NULL || wi_sim_content_cached(content, req->len, req->off) <
                                      within(open, req->len, req->off);
    case WI_OP_WRITE:
        if (content == NULL || (open->flags & O_DSYNC) != 0)
            return true;
        return wi_sim_content_write_reads(content, req->len,
                                          (open->flags & O_APPEND) != 0 ? content->size : req->off);
    case WI_OP_STAT:
        return open == NULL;
    case WI_OP_CLOSE:
        return false;
    default:
        return true;
    }
}

weir_ns wi_sim_disk_takes(struct wi_sim_disk *disk, const struct wi_req *req,
                          const struct wi_sim_open *open)
{
    const struct wi_sim_faults *faults = disk->medium.faults;
    if (!asks_disk(req, open))
        return WI_SIM_MEMORY_NS;
    if (happens(disk, disk_stuck))
        return WEIR_FOREVER;
    weir_ns takes = wi_choose_between(disk->medium.choices, WI_SIM_DISK, faults->disk_ns_min,
                                      faults->disk_ns_max);
    return happens(disk, disk_slow) ? takes * SLOW : takes;
}

struct wi_sim_loss wi_sim_disk_crash(struct wi_sim_disk *disk)
{
    struct wi_sim_loss loss = {.sectors = 0};
    wi_sim_tree_crash(&disk->tree, disk->medium.choices, &loss);
    return loss;
}

uint64_t wi_sim_disk_hash(const struct wi_sim_disk *disk)
{
    return wi_sim_tree_hash(&disk->tree, 0);
}

void wi_sim_disk_audit(const struct wi_sim_disk *disk)
{
    wi_sim_tree_audit(&disk->tree);
}
