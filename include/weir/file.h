/* SPDX-License-Identifier: MIT */
/*
 * weir/file.h -- files: open, read and write at a place, bring to the disk, rename, remove.
 *
 * A weir_file is a value. It names its file until somebody closes it; after that every call on any
 * copy gives -EBADF, and -EXDEV on a core that did not make it. Files are not owned by tasks. What is
 * open at the end of weir_run is closed, with a line in the log.
 *
 * There is no position: each call says where. So any number of tasks may read and write at once; what
 * overlaps is in no order. A wait for the disk holds up the calling task alone. Bytes that are in
 * memory already are read without a wait.
 *
 * Opening and reading end early when the task is cancelled or a deadline passes, unless their result
 * came first. Writing, syncing, renaming and removing do not, once they have begun: a file is never
 * left in a state that nobody chose.
 *
 * Paths are as for open(2), from the working directory; NULL or an empty one is -EINVAL. A path that
 * fails is named in the log, at level info (weir/run.h), with the reason.
 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "weir/api.h"
#include "weir/op.h" /* WEIR_SYNC_DATA */

WEIR_BEGIN

typedef struct weir_file {
    uint64_t bits;
} weir_file;

/* Zero is the default: reading what is there. */
struct weir_file_opts {
    size_t size;   /* filled by WEIR_FILE_OPTS */
    unsigned mode; /* permissions of a file that is made, less the umask; default: 0666. chmod(2) */
    unsigned read : 1;      /* reading; the default unless `write` is set */
    unsigned write : 1;     /* writing */
    unsigned create : 1;    /* makes the file if there is none; with write */
    unsigned exclusive : 1; /* with create: -EEXIST if there is one, symbolic links included */
    unsigned truncate : 1;  /* empties the file; with write */
};
#define WEIR_FILE_OPTS(...) \
    (&(struct weir_file_opts){.size = sizeof(struct weir_file_opts), __VA_ARGS__})

/* Opens a regular file; `opts` may be NULL. *out is a file for the result 0 and zeroed otherwise. It
 * is closed in programs that are executed. -EINVAL: bad options, named in the log. -ENOENT, -EACCES,
 * -ENAMETOOLONG, -EEXIST, -EMFILE and the like as open(2). -EISDIR: a directory, whatever was asked
 * for. -ESPIPE: a FIFO, a socket, a terminal, and what else has no places; nobody at its other end is
 * waited for. -EOPNOTSUPP: a block device. [wait] */
WEIR_API WEIR_MUST_USE int weir_open(weir_file *out, const char *path,
                                     const struct weir_file_opts *opts);

/* Reads `len` bytes at this place, fewer only at the end of the file, and returns how many: 0 at the
 * end and behind it. len 0 is -EINVAL. After an error weir_done() gives the bytes that came. -EINVAL:
 * a place beyond INT64_MAX. -EBADF: not open for reading, too. pread(2). [wait] */
WEIR_API WEIR_MUST_USE ssize_t weir_read_at(weir_file file, void *buf, size_t len, uint64_t at);

/* The same, but all of it: returns len, 0 only for len 0. -ENODATA: the file ends before. [wait] */
WEIR_API WEIR_MUST_USE ssize_t weir_read_exact_at(weir_file file, void *buf, size_t len,
                                                  uint64_t at);

/* Writes all of it (0) or fails; then weir_done() gives the bytes that were written. 0 bytes are
 * written at once. -ENOSPC, -EDQUOT, -EIO and the like as pwrite(2); -EFBIG: beyond the largest file
 * there can be. -EBADF: not open for writing, too. [wait] */
WEIR_API WEIR_MUST_USE int weir_write_at(weir_file file, const void *buf, size_t len, uint64_t at);

/* Brings what was written before the call to the disk: 0. With WEIR_SYNC_DATA (weir/op.h), no more
 * than is needed to read it back. A new file is found after a crash only once its directory was
 * synced, too. An error means that earlier writes are lost, and is told once. -EINVAL: other flags.
 * fsync(2), fdatasync(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_sync(weir_file file, unsigned flags);

/* How many bytes it has. statx(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_file_size(weir_file file, uint64_t *out);

/*
 * Closes the file and zeroes *file. Reads of other tasks end with -EBADF, unless their result came
 * first; writes and syncs that are under way finish first. Then the descriptor is closed, and what
 * that says is the result: an error may be the first word of a failed write (close(2)); the file is
 * closed all the same. Immune to cancellation and deadlines. 0, also for a zeroed handle; -EBADF;
 * -EXDEV, which leaves *file as it is; -EPERM outside a task.
 */
WEIR_API int weir_file_close(weir_file *file);

/* Gives a file another path, in place of the file that has it, in one step. rename(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_rename(const char *from, const char *to);

/* Removes a path; the file is gone when nobody has it open. -EISDIR: a directory. unlink(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_unlink(const char *path);

/* Brings the names in a directory to the disk: those made, renamed and removed before the call.
 * -ENOTDIR: it is none. [wait] */
WEIR_API WEIR_MUST_USE int weir_sync_dir(const char *path);

WEIR_END

#endif /* WEIR_FILE_H */
