/* SPDX-License-Identifier: MIT */
/*
 * What is uring's own behind the seam, first half: set-up and its fallbacks, errors that name their
 * cause, tiny and overflowing queues. What every backend does is in the seam's suite.
 *
 * Filters and limits cannot be taken back, so they are tried in children.
 */
#include "unit/uring_tools.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { NOBODY = 65534 };

/* ---- set-up ---- */

CASE(every_fallback_opens_and_serves)
{
    static const unsigned bits[] = {WEIR_CAP_DEFER_TASKRUN,    WEIR_CAP_SINGLE_ISSUER,
                                    WEIR_CAP_REGISTERED_RING,  WEIR_CAP_NO_IOWAIT,
                                    WEIR_CAP_MULTISHOT_ACCEPT, WEIR_CAP_MULTISHOT_POLL,
                                    WEIR_CAP_BUFFER_RING};
    const unsigned bit_count = sizeof bits / sizeof *bits;
    for (unsigned set = 0; set < 1u << bit_count; set++) {
        unsigned off = 0;
        for (unsigned i = 0; i < bit_count; i++)
            off |= (set >> i & 1) != 0 ? bits[i] : 0;
        struct wi_backend *be = open_with(16, off);
        unsigned features = be->caps.features;
        CHECK_EQ(be->caps.backend, WEIR_BACKEND_URING);
        CHECK_EQ(features & off, 0);
        CHECK_NE(features & WEIR_CAP_EXT_ARG, 0);
        CHECK_NE((features & WEIR_CAP_DEFER_TASKRUN) != 0, (features & WEIR_CAP_COOP_TASKRUN) != 0);
        check_serves(be);
        close_all(be);
    }
}

CASE(a_plain_ring_is_refused)
{
    struct wi_backend *be = NULL;
    struct wi_why why = {""};
    be = open_with(0, 0);
    close_all(be);
    int err = try_open(&be, 0, WEIR_CAP_DEFER_TASKRUN | WEIR_CAP_COOP_TASKRUN, &why);
    CHECK_EQ(err, -ENOSYS);
    CHECK_STR_EQ(why.text,
                 "io_uring_setup: ENOSYS: neither DEFER_TASKRUN nor COOP_TASKRUN can be had");
}

CASE(a_ring_that_cannot_wait_with_a_limit_is_refused)
{
    struct wi_backend *be = open_with(0, 0);
    struct wi_why why = {""};
    close_all(be);
    int fds = fd_count();
    CHECK_EQ(try_open(&be, 0, WEIR_CAP_EXT_ARG, &why), -ENOSYS);
    check_starts_with(why.text, "io_uring_setup: ENOSYS: no EXT_ARG");
    CHECK_EQ(fd_count(), fds);
}

CASE(queues_are_rounded_up_and_completions_have_four_times_the_room)
{
    static const unsigned wanted[] = {0, 1, 4, 5, 256, 1000, 1u << 20};
    static const unsigned given[] = {256, 1, 4, 8, 256, 1024, 16384};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct wi_backend *be = open_with(wanted[i], 0);
        CHECK_EQ(be->caps.sq_entries, given[i]);
        CHECK_GE(be->caps.cq_entries, 4 * given[i]);
        close_all(be);
    }
}

/* Two hundred is more than the sixteen places for registered rings that a thread has: a place that
 * was not given back shows as a ring that could not be registered. */
CASE(opening_and_closing_two_hundred_times_leaves_nothing)
{
    struct wi_backend *be = open_with(0, 0);
    unsigned features = be->caps.features;
    close_all(be);
    int fds = fd_count();
    for (int i = 0; i < 200; i++) {
        be = open_with(0, 0);
        CHECK_EQ(be->caps.features, features);
        close_all(be);
    }
    CHECK_EQ(fd_count(), fds);
    CHECK_EQ(ring_map_count(), 0);
}

CASE(a_thread_without_a_place_for_a_registered_ring_still_gets_one)
{
    enum { RINGS = 20 };
    struct wi_backend *be[RINGS];
    unsigned registered = 0;
    for (int i = 0; i < RINGS; i++) {
        be[i] = open_with(4, 0);
        registered += (be[i]->caps.features & WEIR_CAP_REGISTERED_RING) != 0;
    }
    CHECK_LT(registered, RINGS);
    for (int i = 0; i < RINGS; i++) {
        check_serves(be[i]);
        close_all(be[i]);
    }
}

/* ---- filters and limits ---- */

static void setup_is_filtered(int err)
{
    refuse(__NR_io_uring_setup, err);
    check_refused(0, -err, err == EPERM ? "io_uring_setup: EPERM" : "io_uring_setup: ENOSYS");
}

static void enter_is_filtered(int err)
{
    refuse(__NR_io_uring_enter, err);
    const char *start = err == EPERM ? "io_uring_enter: EPERM" : "io_uring_enter: ENOSYS";
    check_refused(0, -err, start);
    check_refused(WEIR_CAP_MULTISHOT_POLL | WEIR_CAP_MULTISHOT_ACCEPT, -err, start);
}

static void register_is_filtered(int err)
{
    refuse(__NR_io_uring_register, err);
    struct wi_backend *be = open_with(0, 0);
    CHECK_EQ(be->caps.features & WEIR_CAP_REGISTERED_RING, 0);
    check_serves(be);
    close_all(be);
}

CASE(a_filter_on_setup_is_named)
{
    close_all(open_with(0, 0));
    in_child(setup_is_filtered, EPERM);
    in_child(setup_is_filtered, ENOSYS);
}

/* io_uring_setup succeeds under such a filter: only a request that comes back tells. */
CASE(a_filter_on_enter_alone_is_named)
{
    close_all(open_with(0, 0));
    in_child(enter_is_filtered, EPERM);
    in_child(enter_is_filtered, ENOSYS);
}

CASE(a_filter_on_register_alone_costs_only_the_registered_ring)
{
    close_all(open_with(0, 0));
    in_child(register_is_filtered, EPERM);
    in_child(register_is_filtered, ENOSYS);
}

static void refused_map(int offset)
{
    enum { MMAP_OFFSET_ARG = 5 };
    install_filter((struct refusal){.nr = __NR_mmap,
                                    .arg = MMAP_OFFSET_ARG,
                                    .mask = 0xFFFFFFFFu,
                                    .value = (unsigned)offset,
                                    .err = ENOMEM});
    check_refused(0, -ENOMEM, "mmap of the submission entries: ENOMEM");
}

/* CL6: set-up fails at step k, for every k: what was taken before is given back. */
CASE(a_map_that_fails_leaves_nothing)
{
    enum { SUBMISSION_ENTRIES = 0x10000000 }; /* IORING_OFF_SQES */
    close_all(open_with(0, 0));
    in_child(refused_map, SUBMISSION_ENTRIES);
}

static void descriptors_left(int left)
{
    struct wi_backend *be = NULL;
    struct wi_why why = {""};
    int used = dup(STDIN_FILENO);
    CHECK_GE(used, 0);
    close(used);
    struct rlimit limit = {.rlim_cur = (rlim_t)(used + left), .rlim_max = (rlim_t)(used + left)};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int err = try_open(&be, 0, 0, &why);
    switch (left) {
    case 0:
        CHECK_EQ(err, -EMFILE);
        check_starts_with(why.text, "io_uring_setup: EMFILE");
        break;
    case 1:
        CHECK_EQ(err, -EMFILE);
        check_starts_with(why.text, "eventfd: EMFILE");
        break;
    default:
        CHECK_EQ(err, 0);
        CHECK_EQ(be->caps.features & WEIR_CAP_MULTISHOT_ACCEPT, 0); /* nothing left to try it on */
        check_serves(be);
        close_all(be);
        break;
    }
    for (int i = 0; i < left; i++)
        CHECK_EQ(dup(STDIN_FILENO), used + i); /* all of them are free again */
}

CASE(missing_descriptors_are_named_and_none_is_leaked)
{
    close_all(open_with(0, 0));
    in_child(descriptors_left, 0);
    in_child(descriptors_left, 1);
    in_child(descriptors_left, 2);
}

static void memory_may_not_be_locked(int bytes)
{
    struct wi_backend *be = NULL;
    struct wi_why why = {""};
    struct rlimit limit = {.rlim_cur = (rlim_t)bytes, .rlim_max = (rlim_t)bytes};
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (geteuid() == 0)
        CHECK_EQ(setuid(NOBODY), 0);
    if (try_open(&be, 0, 0, &why) == 0)
        SKIP("this kernel does not charge rings to RLIMIT_MEMLOCK");
    check_refused(0, -ENOMEM, "io_uring_setup: ENOMEM: RLIMIT_MEMLOCK is 4096 bytes");
    CHECK(strstr(why.text, "entries needs ") != NULL);
    CHECK_GT(atoi(strstr(why.text, "entries needs ") + strlen("entries needs ")), 4096);
}

CASE(a_small_limit_on_locked_memory_is_named_with_the_need)
{
    close_all(open_with(0, 0));
    in_child(memory_may_not_be_locked, 4096);
}

/* ---- queues ---- */

/* TX3, EX11: the queue is far smaller than the workload. */
CASE(a_queue_of_four_takes_a_thousand_requests)
{
    enum { REQUESTS = 1000 };
    struct wi_backend *be = open_with(4, 0);
    struct wi_cqe cqe[32];
    unsigned seen[REQUESTS] = {0};
    CHECK_EQ(be->caps.sq_entries, 4);
    for (unsigned i = 0; i < REQUESTS; i++)
        stage_nop(be, wi_token(i, i));
    int got = 0, n;
    while ((n = enter_now(be, cqe, 32)) > 0) {
        for (int i = 0; i < n; i++) {
            CHECK_EQ(cqe[i].res, 0);
            CHECK_EQ(wi_token_slot(cqe[i].token), wi_token_generation(cqe[i].token));
            CHECK_LT(wi_token_slot(cqe[i].token), REQUESTS);
            seen[wi_token_slot(cqe[i].token)]++;
        }
        got += n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(got, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        CHECK_EQ(seen[i], 1);
    close_all(be);
}

CASE(completions_that_overflow_their_queue_are_all_delivered)
{
    struct wi_backend *be = open_with(8, 0);
    unsigned requests = 3 * be->caps.cq_entries + 1;
    struct wi_cqe cqe[7];
    for (unsigned i = 0; i < requests; i++)
        stage_nop(be, wi_token(i, 1));
    unsigned got = 0;
    for (int n; (n = enter_now(be, cqe, 7)) > 0;) {
        CHECK_LE(n, 7);
        for (int i = 0; i < n; i++, got++)
            CHECK_EQ(wi_token_slot(cqe[i].token), got); /* no-ops keep their order */
    }
    CHECK_EQ(got, requests);
    close_all(be);
}

CASE(tokens_come_back_whole)
{
    static const uint32_t slots[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE};
    static const uint32_t generations[] = {0, 1, 0x40000000, 0x7FFFFFFF};
    struct wi_backend *be = open_with(4, 0);
    for (unsigned s = 0; s < 5; s++) {
        for (unsigned g = 0; g < 4; g++) {
            uint64_t token = wi_token(slots[s], generations[g]);
            stage_nop(be, token);
            CHECK_EQ(next(be).token, token);
            CHECK_EQ(be->ops->cancel(be, token), 0);
            struct wi_cqe cqe = next(be);
            CHECK_EQ(cqe.token, token | WI_TOKEN_CANCEL);
            CHECK_EQ(cqe.res, -ENOENT);
        }
    }
    close_all(be);
}

static void enter_is_forbidden_from_here(int ready)
{
    struct wi_backend *be = open_with(16, 0);
    struct wi_cqe cqe[16];
    for (int i = 0; i < ready; i++)
        stage_nop(be, wi_token((uint32_t)i, 1));
    if (ready > 0)
        CHECK_EQ(enter_now(be, cqe, 1), 1);
    refuse(__NR_io_uring_enter, 0); /* one would end this process */
    CHECK_EQ(be->more, ready > 0);
    if (ready > 0)
        CHECK_EQ(be->ops->enter(be, WEIR_FOREVER, cqe, 16), ready - 1);
    CHECK(!be->more);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(enter_now(be, cqe, 16), 0);
    be->ops->close(be);
}

CASE(an_enter_with_nothing_to_do_makes_no_system_call)
{
    in_child(enter_is_forbidden_from_here, 0);
}

CASE(completions_at_hand_are_delivered_without_a_system_call)
{
    in_child(enter_is_forbidden_from_here, 10);
}

static void waiting_fails(int err)
{
    enum { MIN_COMPLETE_ARG = 2 };
    struct wi_backend *be = open_with(16, 0);
    struct wi_cqe cqe;
    install_filter((struct refusal){
        .nr = __NR_io_uring_enter, .arg = MIN_COMPLETE_ARG, .mask = 1, .value = 1, .err = err});
    stage_nop(be, wi_token(3, 3));
    CHECK_EQ(be->ops->enter(be, WEIR_FOREVER, &cqe, 1), -err);
    CHECK_EQ(enter_now(be, &cqe, 1), 1);
    CHECK_EQ(cqe.token, wi_token(3, 3));
    close_all(be);
}

/* EX12 */
CASE(an_enter_that_fails_keeps_what_was_staged)
{
    in_child(waiting_fails, EINTR);
    in_child(waiting_fails, EAGAIN);
    in_child(waiting_fails, EBUSY);
}

static void submitting_fails(int err)
{
    struct wi_backend *be = open_with(16, 0);
    struct wi_cqe cqe[16];
    for (uint32_t i = 0; i < 4; i++)
        stage_nop(be, wi_token(i, 1));
    CHECK_EQ(enter_now(be, cqe, 1), 1);
    stage_nop(be, wi_token(4, 1));
    refuse(__NR_io_uring_enter, err);
    CHECK_EQ(enter_now(be, cqe, 16), 3);
    CHECK_EQ(enter_now(be, cqe, 16), -err);
    be->ops->close(be);
}

CASE(an_enter_that_fails_still_delivers_what_is_at_hand)
{
    in_child(submitting_fails, EINTR);
    in_child(submitting_fails, EAGAIN);
    in_child(submitting_fails, EBUSY);
}

static void flushing_fails(int err)
{
    enum { FLAGS_ARG = 3, GETEVENTS = 1 };
    struct wi_backend *be = open_with(4, 0);
    struct wi_cqe cqe[8];
    install_filter((struct refusal){
        .nr = __NR_io_uring_enter, .arg = FLAGS_ARG, .mask = GETEVENTS, .value = 0, .err = err});
    for (uint32_t i = 0; i < 4; i++)
        stage_nop(be, wi_token(i, 1));
    const struct wi_req nop = {.opcode = WI_OP_NOP};
    CHECK_EQ(be->ops->stage(be, wi_token(4, 1), &nop), -EAGAIN);
    CHECK_EQ(be->ops->cancel(be, wi_token(0, 1)), -EAGAIN);
    CHECK_EQ(enter_now(be, cqe, 8), 4); /* what was refused left no trace */
    stage_nop(be, wi_token(4, 1));
    CHECK_EQ(enter_now(be, cqe, 8), 1);
    CHECK_EQ(cqe[0].token, wi_token(4, 1));
    close_all(be);
}

/* TX3 */
CASE(a_queue_that_cannot_be_flushed_refuses_without_a_trace)
{
    in_child(flushing_fails, EAGAIN);
    in_child(flushing_fails, EBUSY);
    in_child(flushing_fails, EINTR);
}

/* Since 6.13 an enter runs about twenty completions and keeps the rest back. */
CASE(completions_that_the_kernel_keeps_back_come_without_blocking)
{
    enum { PAIRS = 100 };
    struct wi_backend *be = open_with(0, 0);
    struct wi_cqe cqe[PAIRS];
    static char byte[PAIRS];
    int fd[PAIRS][2];
    for (uint32_t i = 0; i < PAIRS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd[i]), 0);
        stage(be, wi_token(i, 1),
              &(struct wi_req){.opcode = WI_OP_RECV, .fd = fd[i][0], .mem = &byte[i], .len = 1});
    }
    CHECK_EQ(enter_now(be, cqe, PAIRS), 0);
    for (int i = 0; i < PAIRS; i++)
        CHECK_EQ(write(fd[i][1], "x", 1), 1);
    int got = 0;
    do
        got += enter_now(be, cqe, PAIRS);
    while (be->more);
    CHECK_EQ(got, PAIRS);
    for (int i = 0; i < PAIRS; i++)
        CHECK_EQ(byte[i], 'x');
    close_all(be);
}

/* The first sixty wake-ups find nothing left to report: a kernel that ran only those must still say
 * that there is more. */
CASE(reports_behind_idle_wake_ups_come_without_blocking)
{
    enum { PAIRS = 100, CONSUMED = 60 };
    struct wi_backend *be = open_with(0, 0);
    struct wi_cqe cqe[PAIRS];
    int fd[PAIRS][2];
    char byte;
    for (uint32_t i = 0; i < PAIRS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd[i]), 0);
        stage(be, wi_token(i, 1),
              &(struct wi_req){
                  .opcode = WI_OP_POLL, .flags = WI_REQ_MULTI, .fd = fd[i][0], .events = POLLIN});
    }
    CHECK_EQ(enter_now(be, cqe, PAIRS), 0);
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(write(fd[i][1], "x", 1), 1);
        if (i < CONSUMED)
            CHECK_EQ(read(fd[i][0], &byte, 1), 1);
    }
    bool reported[PAIRS] = {false};
    do {
        int n = enter_now(be, cqe, PAIRS);
        for (int i = 0; i < n; i++)
            reported[wi_token_slot(cqe[i].token)] = true;
    } while (be->more);
    for (int i = CONSUMED; i < PAIRS; i++)
        CHECK(reported[i]);
    for (uint32_t i = 0; i < PAIRS; i++)
        (void)close(fd[i][1]);
    be->ops->close(be);
}
