/* SPDX-License-Identifier: MIT */
/* What the seam says of paths and of files that are read at once, on every backend and under every
 * fault. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "support/dir.h"
#include "support/host.h"
#include "support/seam.h"

static struct seam s;

static void *text_of(const char *path)
{
    return (void *)(uintptr_t)path; // NOLINT: a request is not const-correct
}

static struct wi_req open_req(const char *path, int flags)
{
    return (struct wi_req){.opcode = WI_OP_OPEN,
                           .fd = -1,
                           .mem = text_of(path),
                           .len = 0640,
                           .msg_flags = (uint32_t)flags};
}

static int run(struct wi_req req)
{
    seam_stage(&s, wi_token(1, 1), req);
    return seam_end(&s, wi_token(1, 1));
}

CASE(seam_open_makes_a_file_and_close_ends_its_descriptor)
{
    struct statx st;
    dir_make();
    seam_open(&s);
    int fd = run(open_req(dir_path("a"), O_RDWR | O_CREAT | O_EXCL));
    CHECK_GE(fd, 0);
    CHECK_EQ(host_fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(host_statx(dir_path("a"), &st), 0);
    CHECK_EQ(st.stx_mode & 07777 & ~0640u, 0);
    CHECK_EQ(run((struct wi_req){.opcode = WI_OP_CLOSE, .fd = fd}), 0);
    CHECK_EQ(host_fcntl(fd, F_GETFD), -1);
    CHECK_EQ(run((struct wi_req){.opcode = WI_OP_CLOSE, .fd = fd}), -EBADF);
    CHECK_EQ(run(open_req(dir_path("a"), O_RDWR | O_CREAT | O_EXCL)), -EEXIST);
    CHECK_EQ(run(open_req(dir_path("b"), O_RDONLY)), -ENOENT);
    CHECK_EQ(run(open_req(dir_path(""), O_WRONLY)), -EISDIR);
    seam_close(&s);
    dir_remove();
}

CASE(seam_rename_and_unlink_do_as_they_are_told)
{
    dir_make();
    seam_open(&s);
    dir_file("a", "one");
    dir_file("b", "two");
    struct wi_req rename = {
        .opcode = WI_OP_RENAME, .fd = -1, .mem = text_of(dir_path("a")), .to = dir_path("b")};
    CHECK_EQ(run(rename), 0);
    dir_expect("b", "one");
    CHECK_EQ(run(rename), -ENOENT);
    struct wi_req unlink = {.opcode = WI_OP_UNLINK, .fd = -1, .mem = text_of(dir_path("b"))};
    CHECK_EQ(run(unlink), 0);
    CHECK_EQ(dir_has("b"), false);
    CHECK_EQ(run(unlink), -ENOENT);
    CHECK_EQ(host_mkdir(dir_path("d"), 0700), 0);
    unlink.mem = text_of(dir_path("d"));
    CHECK_EQ(run(unlink), -EISDIR);
    unlink.msg_flags = AT_REMOVEDIR;
    CHECK_EQ(run(unlink), 0);
    CHECK_EQ(dir_has("d"), false);
    seam_close(&s);
    dir_remove();
}

CASE(seam_stat_looks_at_a_path_or_a_descriptor)
{
    struct statx st = {0};
    dir_make();
    seam_open(&s);
    dir_file("a", "12345");
    CHECK_EQ(run((struct wi_req){.opcode = WI_OP_STAT, .mem = &st, .path = dir_path("a")}), 0);
    CHECK_EQ(st.stx_size, 5);
    CHECK(S_ISREG(st.stx_mode));
    int fd = host_open(dir_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    CHECK_EQ(run((struct wi_req){.opcode = WI_OP_STAT, .fd = fd, .mem = &st}), 0);
    CHECK(S_ISDIR(st.stx_mode));
    CHECK_EQ(run((struct wi_req){.opcode = WI_OP_STAT, .mem = &st, .path = dir_path("x")}),
             -ENOENT);
    CHECK_EQ(host_close(fd), 0);
    seam_close(&s);
    dir_remove();
}

/* FS5: whichever comes first, a descriptor that exists is told of. */
CASE(seam_open_that_is_cancelled_loses_no_descriptor)
{
    enum { ROUNDS = 100 };
    dir_make();
    dir_file("a", "x");
    seam_open(&s);
    for (int i = 0; i < ROUNDS; i++) {
        seam_stage(&s, wi_token(1, 1), open_req(dir_path("a"), O_RDONLY));
        if (i % 2 == 1)
            seam_enter(&s, WI_ENTER_NOW);
        int fd = seam_stop(&s, wi_token(1, 1));
        CHECK(fd == -ECANCELED || fd >= 0);
        if (fd >= 0)
            CHECK_EQ(host_close(fd), 0);
    }
    seam_close(&s); /* counts descriptors */
    dir_remove();
}

CASE(seam_read_is_tried_from_memory)
{
    char buf[8] = {0};
    dir_make();
    dir_file("a", "abcdef");
    seam_open(&s);
    int fd = host_open(dir_path("a"), O_RDONLY | O_CLOEXEC, 0);
    struct wi_req req = {.opcode = WI_OP_READ, .fd = fd, .mem = buf, .len = 4, .off = 1};
    ssize_t got = seam_try(&s, req);
    if (got == -EOPNOTSUPP) {
        dir_remove();
        SKIP("this file system does not tell what is in memory");
    }
    CHECK_EQ(got, 4);
    CHECK_STR_EQ(buf, "bcde");
    req.off = 6;
    CHECK_EQ(seam_try(&s, req), 0);
    req.fd = -1;
    CHECK_EQ(seam_try(&s, req), -EBADF);
    CHECK_EQ(host_close(fd), 0);
    seam_close(&s);
    dir_remove();
}

static int check(int fd)
{
    struct wi_ctl ctl = {.what = WI_CTL_FILE, .fd = fd};
    int rc = s.be->ops->ctl(s.be, &ctl);
    if (rc < 0)
        CHECK_EQ(host_close(fd), 0);
    return rc;
}

CASE(seam_control_tells_files_from_what_has_no_places)
{
    host_need_kernel("a simulated disk has no pipes and no devices");
    const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
    dir_make();
    dir_file("a", "");
    CHECK_EQ(mkfifo(dir_path("f"), 0600), 0);
    seam_open(&s);
    int fd = open(dir_path("a"), flags);
    CHECK_EQ(check(fd), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(host_close(fd), 0);
    CHECK_EQ(check(open(dir_path(""), flags)), -EISDIR);
    CHECK_EQ(check(open(dir_path("f"), flags)), -ESPIPE);
    CHECK_EQ(check(open("/dev/null", flags)), -ESPIPE);
    seam_close(&s);
    dir_remove();
}
