/* SPDX-License-Identifier: MIT */
/* A simulated core's queues: what a kernel may do to requests, each by its fault, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <string.h>

#include "check.h"
#include "support/simcore.h"
#include "weir.h"

enum { SEEDS = 100 };

static struct simcore s;

static struct wi_req receive(int fd, void *mem, uint32_t len)
{
    return (struct wi_req){.opcode = WI_OP_RECV, .fd = fd, .mem = mem, .len = len};
}

static struct wi_req receive_on(int fd)
{
    return (struct wi_req){.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd};
}

static void close_fd(int fd)
{
    CHECK_EQ(simcore_ctl(&s, WI_CTL_CLOSE, fd, 0), 0);
}

static void close_pair(const int fd[2])
{
    close_fd(fd[0]);
    close_fd(fd[1]);
    simcore_close(&s);
}

/* ---- cancels ---- */

CASE(sim_cancel_that_comes_in_time_ends_its_target_before_or_after_itself)
{
    unsigned first = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int fd[2];
        char byte;
        simcore_open(&s, seed, "reorder=0.5", 0);
        simcore_pair(&s, fd);
        simcore_stage(&s, 1, receive(fd[0], &byte, 1));
        simcore_cancel(&s, 1);
        while (s.kept_count < 2)
            simcore_pass(&s, 0);
        first += (s.kept[0].token & WI_TOKEN_CANCEL) != 0;
        CHECK_EQ(simcore_canceled(&s, 1), 0);
        CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
        close_pair(fd);
    }
    CHECK_GT(first, SEEDS / 10);
    CHECK_LT(first, SEEDS * 9 / 10);
}

/* The target of a cancel that found it beyond stopping ends soon: with data that come until then. */
CASE(sim_cancel_that_comes_too_late_lets_its_target_end_by_itself)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int fd[2];
        char byte = 0;
        bool data = seed % 2 == 0;
        simcore_open(&s, seed, "cancel_late=1", 0);
        simcore_pair(&s, fd);
        simcore_stage(&s, 1, receive(fd[0], &byte, 1));
        simcore_cancel(&s, 1);
        CHECK_EQ(simcore_canceled(&s, 1), -EALREADY);
        CHECK(!simcore_has(&s, 1));
        weir_ns since = s.be->ops->now(s.be);
        if (data)
            simcore_send(&s, fd[1], "x", 1);
        int res = simcore_next(&s, 1).res;
        CHECK_LE(s.be->ops->now(s.be) - since, 200 * WEIR_US);
        CHECK(res == -ECANCELED || (data && res == 1));
        close_pair(fd);
    }
}

/* RX17: of a receive that goes on, data may be the last completion after its cancel. */
CASE(sim_data_that_come_after_a_late_cancel_may_be_the_last_completion)
{
    unsigned with_data = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int fd[2];
        simcore_open(&s, seed, "cancel_late=1", 0);
        simcore_pair(&s, fd);
        simcore_stage(&s, 1, receive_on(fd[0]));
        simcore_cancel(&s, 1);
        CHECK_EQ(simcore_canceled(&s, 1), -EALREADY);
        simcore_send(&s, fd[1], "x", 1);
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.flags & WI_CQE_MORE, 0);
        CHECK_EQ(cqe.res, cqe.flags & WI_CQE_DATA ? 1 : -ECANCELED);
        if (cqe.flags & WI_CQE_DATA)
            simcore_give(&s, cqe);
        with_data += cqe.res == 1;
        close_pair(fd);
    }
    CHECK_GT(with_data, 0);
}

static int open_file(void)
{
    char path[] = "/file";
    simcore_open(&s, 1, NULL, 0);
    simcore_stage(&s, 1,
                  (struct wi_req){.opcode = WI_OP_OPEN,
                                  .fd = -1,
                                  .mem = path,
                                  .msg_flags = O_CREAT | O_RDWR,
                                  .len = 0600});
    int fd = simcore_next(&s, 1).res;
    CHECK_GE(fd, WI_SIM_FD_FIRST);
    return fd;
}

CASE(sim_request_of_a_disk_that_is_stuck_ends_by_a_cancel_alone)
{
    char path[] = "/file";
    simcore_open(&s, 1, "calm disk_stuck=1", 0);
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_OPEN, .fd = -1, .mem = path});
    simcore_pass(&s, 3600 * WEIR_SEC);
    CHECK_EQ(simcore_has(&s, 1), false);
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), 0);
    CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
    simcore_close(&s);
}

/* poll(2): "Regular files always poll TRUE for reading and writing". */
CASE(sim_poll_of_a_file_waits_for_nothing)
{
    int fd = open_file();
    simcore_stage(&s, 1,
                  (struct wi_req){.opcode = WI_OP_POLL, .fd = fd, .events = POLLIN | POLLOUT});
    CHECK_EQ(simcore_next(&s, 1).res, POLLIN | POLLOUT);
    close_fd(fd);
    simcore_close(&s);
}

CASE(sim_close_of_a_file_cannot_be_cancelled)
{
    int fd = open_file();
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_CLOSE, .fd = fd});
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), -EALREADY);
    CHECK_EQ(simcore_next(&s, 1).res, 0);
    CHECK_EQ(simcore_ctl(&s, WI_CTL_ADOPT, fd, 0), -EBADF);
    simcore_close(&s);
}

/* ---- receives ---- */

CASE(sim_receive_of_all_waits_for_all_and_a_cancel_tells_what_came)
{
    int fd[2];
    char text[6] = "";
    simcore_open(&s, 1, NULL, 0);
    simcore_pair(&s, fd);
    struct wi_req all = receive(fd[0], text, 5);
    all.msg_flags = MSG_WAITALL;
    simcore_stage(&s, 1, all);
    simcore_send(&s, fd[1], "he", 2);
    simcore_pass(&s, WEIR_SEC);
    CHECK(!simcore_has(&s, 1));
    simcore_send(&s, fd[1], "llo", 3);
    CHECK_EQ(simcore_next(&s, 1).res, 5);
    CHECK_STR_EQ(text, "hello");
    simcore_stage(&s, 1, all);
    simcore_send(&s, fd[1], "abc", 3);
    simcore_pass(&s, WEIR_SEC);
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), 0);
    CHECK_EQ(simcore_next(&s, 1).res, 3);
    close_pair(fd);
}

/* `data` of backend.h: the state that holds when it is staged may be told of in part. */
CASE(sim_receive_may_be_silent_about_the_end_behind_its_first_data)
{
    static const char *const faults[] = {"mute=1", "mute=0"};
    for (int i = 0; i < 2; i++) {
        int fd[2];
        simcore_open(&s, 1, faults[i], 0);
        simcore_pair(&s, fd);
        simcore_send(&s, fd[1], "x", 1);
        CHECK_EQ(simcore_ctl(&s, WI_CTL_SHUTDOWN, fd[1], SHUT_WR), 0);
        simcore_pass(&s, WEIR_SEC);
        simcore_stage(&s, 1, receive_on(fd[0]));
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.res, 1);
        CHECK_NE(cqe.flags & WI_CQE_MORE, 0);
        simcore_give(&s, cqe);
        simcore_pass(&s, WEIR_SEC);
        CHECK_EQ(simcore_has(&s, 1), i == 1);
        if (i == 0) {
            simcore_cancel(&s, 1);
            CHECK_EQ(simcore_canceled(&s, 1), 0);
        }
        CHECK_EQ(simcore_next(&s, 1).res, i == 0 ? -ECANCELED : 0);
        close_pair(fd);
    }
}

/* Bytes that found no room in the last buffer are no end of the stream: a kernel goes on with them. */
CASE(sim_receive_that_is_silent_about_the_end_is_not_silent_about_bytes)
{
    static char bytes[WI_SIM_AREA_PART_BYTES + 100];
    int fd[2];
    simcore_open(&s, 1, "mute=1", 0);
    simcore_pair(&s, fd);
    simcore_send(&s, fd[1], bytes, sizeof bytes);
    simcore_pass(&s, WEIR_SEC);
    simcore_stage(&s, 1, receive_on(fd[0]));
    for (size_t got = 0; got < sizeof bytes;) {
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_GT(cqe.res, 0);
        got += (size_t)cqe.res;
        simcore_give(&s, cqe);
    }
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), 0);
    CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
    close_pair(fd);
}

CASE(sim_area_that_is_full_refuses_before_there_is_data)
{
    int fd[2];
    simcore_open(&s, 1, "no_buffers=1", 0);
    simcore_pair(&s, fd);
    simcore_stage(&s, 1, receive_on(fd[0]));
    CHECK_EQ(simcore_next(&s, 1).res, -ENOBUFS);
    close_pair(fd);
}

/* ---- completions ---- */

/* Numbered bytes in completions that are held back, cut and mixed with others' come in order. */
CASE(sim_completions_of_one_request_keep_their_order_whatever_is_held_back)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        enum { BYTES = 40 };
        unsigned char got = 0;
        int fd[2];
        simcore_open(&s, seed, "late=0.5 reorder=0.9 segment=0.5", 0);
        simcore_pair(&s, fd);
        simcore_stage(&s, 1, receive_on(fd[0]));
        for (int i = 0; i < BYTES; i++) {
            unsigned char byte = (unsigned char)i;
            simcore_send(&s, fd[1], &byte, 1);
            simcore_pass(&s, WEIR_US);
            simcore_stage(&s, 2, (struct wi_req){.opcode = WI_OP_NOP});
            CHECK_EQ(simcore_next(&s, 2).res, 0);
        }
        while (got < BYTES) {
            struct wi_cqe cqe = simcore_next(&s, 1);
            const unsigned char *bytes = (unsigned char *)s.be->area + wi_cqe_at(cqe.flags);
            for (int i = 0; i < cqe.res; i++)
                CHECK_EQ(bytes[i], got++);
            simcore_give(&s, cqe);
        }
        simcore_cancel(&s, 1);
        (void)simcore_canceled(&s, 1);
        CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
        close_pair(fd);
    }
}

CASE(sim_queue_that_is_full_ends_a_request_that_goes_on)
{
    struct sockaddr_storage address;
    int peer[3], got[3];
    simcore_open(&s, 1, NULL, 2);
    int listener = simcore_listener(&s, &address);
    for (int i = 0; i < 3; i++)
        peer[i] = simcore_connect(&s, &address);
    simcore_stage(&s, 1,
                  (struct wi_req){.opcode = WI_OP_ACCEPT, .flags = WI_REQ_MULTI, .fd = listener});
    for (int i = 0; i < 3; i++) {
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.flags & WI_CQE_MORE, i < 2 ? WI_CQE_MORE : 0);
        got[i] = cqe.res;
    }
    CHECK_GT(s.be->overflows, 0);
    for (int i = 0; i < 3; i++) {
        close_fd(peer[i]);
        close_fd(got[i]);
    }
    close_fd(listener);
    simcore_close(&s);
}

/* Every staged request ends exactly once, however it was refused, cut off and held up. */
CASE(sim_requests_that_are_refused_and_submitted_in_parts_all_end_once)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        enum { COUNT = 50 };
        simcore_open(&s, seed,
                     "queue_full=0.3 enter_short=0.7 enter_error=0.3 late=0.3 reorder=0.9", 8);
        for (uint32_t i = 0; i < COUNT; i++)
            simcore_stage(&s, i, (struct wi_req){.opcode = WI_OP_NOP});
        for (uint32_t i = 0; i < COUNT; i++)
            CHECK_EQ(simcore_next(&s, i).res, 0);
        simcore_pass(&s, WEIR_SEC);
        simcore_close(&s);
    }
}

static int sleep_for_ever(void *arg)
{
    int rc;
    (void)arg;
    while ((rc = weir_sleep(WEIR_MS)) == 0)
        ;
    return rc;
}

/* The word that time is up came while an enter was interrupted, and was lost: the world never ended. */
CASE(sim_word_that_time_is_up_outlives_an_interrupted_enter)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        CHECK_EQ(weir_sim_run(seed,
                              WEIR_SIM_OPTS(.faults = "enter_error=0.9", .time_max = WEIR_SEC / 10,
                                            .log_level = WEIR_LOG_SILENT),
                              sleep_for_ever, NULL),
                 -ETIME);
}

/* A poster that lets others go first names the core that it posts to; what the world said to it meanwhile
 * was kept there, and the poster never heard that time was up. */
CASE(sim_word_that_time_is_up_outlives_a_point_at_another_core)
{
    struct wi_backend *other;
    struct wi_cqe cqe;
    struct wi_why why;
    simcore_open(&s, 1, "preempt=1", 0);
    struct wi_sim_world *world = wi_sim_core_of(s.be)->world;
    struct wi_backend_config config = {.sim_node = wi_sim_core_of(s.be)->node};
    CHECK_EQ(wi_sim_open(&other, &config, &why), 0);
    world->time_max = world->now;
    wi_sim_point(other);
    CHECK_EQ(s.be->ops->enter(s.be, WEIR_FOREVER, &cqe, 1), 0);
    CHECK_EQ(s.be->never, WI_NEVER_LATER);
    other->ops->close(other);
    simcore_close(&s);
}

/* How late a wait ends was added beyond the last instant there is: it was over before it began. */
CASE(sim_wait_for_the_last_instant_is_as_long_as_one_for_ever)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct wi_cqe cqe;
        simcore_open(&s, seed, "timer_late_ns=1000000", 0);
        CHECK_EQ(s.be->ops->enter(s.be, WEIR_FOREVER - 1, &cqe, 1), 0);
        CHECK_EQ(s.be->never, WI_NEVER_MORE);
        simcore_close(&s);
    }
}

/* ---- sends without a copy ---- */

static struct io_uring_sqe entry;

static struct wi_req send_without_copy(int fd, const void *data, uint32_t len)
{
    entry = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND_ZC, .fd = fd, .addr = (uintptr_t)data, .len = len};
    struct wi_ctl ask = {.what = WI_CTL_RAW, .mem = &entry};
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), 0);
    return (struct wi_req){.opcode = WI_OP_RAW, .mem = &entry};
}

/* TX6: the result has MORE, and the word that memory is free comes later, alone. */
CASE(sim_memory_sent_without_a_copy_is_free_later)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int fd[2];
        simcore_open(&s, seed, "reorder=0.5 late=0.5", 0);
        simcore_pair(&s, fd);
        simcore_stage(&s, 1, send_without_copy(fd[0], "weir", 4));
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.res, 4);
        CHECK_EQ(cqe.flags, WI_CQE_MORE);
        simcore_cancel(&s, 1); /* nothing of it can be cancelled any more */
        CHECK_LT(simcore_canceled(&s, 1), 0);
        cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.res, 0);
        CHECK_EQ(cqe.flags, WI_CQE_NOTIF);
        close_pair(fd);
    }
}

/* TX6: an error may come with MORE or without, and only that says whether there is a NOTIF. */
CASE(sim_failed_send_without_a_copy_tells_by_more_whether_memory_is_free)
{
    unsigned late = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int fd[2];
        simcore_open(&s, seed, NULL, 0);
        simcore_pair(&s, fd);
        CHECK_EQ(simcore_ctl(&s, WI_CTL_SHUTDOWN, fd[0], SHUT_WR), 0);
        simcore_stage(&s, 1, send_without_copy(fd[0], "weir", 4));
        struct wi_cqe cqe = simcore_next(&s, 1);
        CHECK_EQ(cqe.res, -EPIPE);
        if (cqe.flags != 0) {
            CHECK_EQ(cqe.flags, WI_CQE_MORE);
            CHECK_EQ(simcore_next(&s, 1).flags, WI_CQE_NOTIF);
            late++;
        }
        close_pair(fd);
    }
    CHECK_GT(late, SEEDS / 10);
    CHECK_LT(late, SEEDS * 9 / 10);
}

CASE(sim_raw_entries_are_few)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP};
    struct wi_ctl ask = {.what = WI_CTL_RAW, .mem = &sqe};
    simcore_open(&s, 1, NULL, 0);
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), 0);
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_RAW, .mem = &sqe});
    CHECK_EQ(simcore_next(&s, 1).res, 0);
    sqe.user_data = 1;
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), -EINVAL);
    sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .flags = IOSQE_IO_LINK};
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), -EINVAL);
    sqe = (struct io_uring_sqe){.opcode = IORING_OP_READ};
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), -EOPNOTSUPP);
    simcore_close(&s);
    simcore_open(&s, 1, "poor=1", 0);
    sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
    CHECK_EQ(s.be->ops->ctl(s.be, &ask), -EOPNOTSUPP);
    CHECK_EQ(s.be->chain_max, 1);
    CHECK_EQ(s.be->caps.features & WEIR_CAP_BUFFER_RING, 0);
    simcore_close(&s);
}

/* ---- calls ---- */

static unsigned made, dropped;

static int32_t make(struct wi_work *work)
{
    (void)work;
    made++;
    return 7;
}

static void drop(struct wi_work *work)
{
    (void)work;
    dropped++;
}

static void start_call(struct wi_work *work)
{
    made = dropped = 0;
    wi_work_init(work, make, drop);
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_CALL, .fd = -1, .mem = work});
    simcore_pass(&s, 0);
}

/* Its event named a core that was freed, and its memory was nobody's. */
CASE(sim_call_that_was_left_goes_with_its_core)
{
    struct wi_work work;
    simcore_open(&s, 1, "cancel_late=1", 0);
    start_call(&work);
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), 0);
    CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
    CHECK(!wi_work_release(&work));
    CHECK_EQ(s.be->orphans, 1);
    simcore_close(&s);
    CHECK_EQ(made, 0);
    CHECK_EQ(dropped, 1);
}

CASE(sim_call_that_was_left_is_made_and_dropped)
{
    struct wi_work work;
    simcore_open(&s, 1, "cancel_late=1", 0);
    start_call(&work);
    simcore_cancel(&s, 1);
    CHECK_EQ(simcore_canceled(&s, 1), 0);
    CHECK_EQ(simcore_next(&s, 1).res, -ECANCELED);
    CHECK(!wi_work_release(&work));
    simcore_pass(&s, WEIR_SEC);
    CHECK_EQ(s.be->orphans, 0);
    CHECK_EQ(made, 1);
    CHECK_EQ(dropped, 1);
    simcore_close(&s);
}

CASE(sim_call_under_way_is_dropped_when_its_core_is_abandoned)
{
    struct wi_work work;
    simcore_open(&s, 1, NULL, 0);
    start_call(&work);
    s.be->ops->abandon(s.be);
    CHECK_EQ(made, 0);
    CHECK_EQ(dropped, 1);
}
