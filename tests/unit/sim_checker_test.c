/* SPDX-License-Identifier: MIT */
/* What a simulation ends the process for: each mistake once, and the words that name it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>

#include "base/fiber.h"
#include "base/require.h"
#include "check.h"
#include "support/death.h"
#include "support/simcore.h"

#if defined(WI_FIBER_ASAN)
const char *__asan_default_options(void);
__attribute__((visibility("default"), used)) const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}
#define TOUCHED "use-after-poison"
#define READ_BACK "use-after-poison"
#define FREED "memory of a receive on descriptor 65538 was freed while the kernel had it"
#else
#define TOUCHED "64 bytes of a receive on descriptor 65538 changed while the kernel had them"
#define READ_BACK "what was given back reads as"
#define FREED "64 bytes of a receive on descriptor 65538 changed while the kernel had them"
#endif
/* Clang's runtime looks at frames that were left only if it is asked to. */
#if defined(WI_FIBER_ASAN) && !defined(__clang__)
#define LEFT "stack-use-after"
#else
#define LEFT "64 bytes of a send on descriptor 65538 changed while the kernel had them"
#endif

static struct simcore s;
static int fd[2];
static char bytes[64];

static void stage(uint32_t slot, enum wi_opcode opcode, void *mem)
{
    simcore_stage(&s, slot,
                  (struct wi_req){.opcode = opcode, .fd = fd[0], .mem = mem, .len = sizeof bytes});
}

static void open_pair(void)
{
    simcore_open(&s, 1, NULL, 0);
    simcore_pair(&s, fd);
}

static int open_file(void)
{
    char path[] = "/file";
    simcore_stage(&s, 9,
                  (struct wi_req){.opcode = WI_OP_OPEN,
                                  .fd = -1,
                                  .mem = path,
                                  .msg_flags = O_CREAT | O_RDWR,
                                  .len = 0600});
    return simcore_next(&s, 9).res;
}

/* Keeps the compiler from seeing where a pointer points. */
__attribute__((noinline)) static void *blind(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* ---- memory ---- */

static void touch_received(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    simcore_pass(&s, 0);
    *(volatile char *)blind(bytes) = 1;
    simcore_send(&s, fd[1], "x", 1);
    (void)simcore_next(&s, 1);
}

CASE(sim_check_names_receive_memory_that_was_touched)
{
    check_aborts(touch_received, TOUCHED);
}

/* Submits, and gets nothing yet: everything is late. */
static void enter_once(void)
{
    struct wi_cqe cqe;
    CHECK_EQ(s.be->ops->enter(s.be, WI_ENTER_NOW, &cqe, 1), 0);
}

static void change_sent(void)
{
    simcore_open(&s, 1, "late=1", 0);
    simcore_pair(&s, fd);
    stage(1, WI_OP_SEND, bytes);
    enter_once();
    bytes[5]++;
    (void)simcore_next(&s, 1);
}

CASE(sim_check_names_sent_memory_that_was_changed)
{
    check_aborts(change_sent, "64 bytes of a send on descriptor");
}

/* Sent, and its result is there: but it was without a copy, and the NOTIF is not. */
static void change_sent_without_copy(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_SEND_ZC, .len = sizeof bytes};
    open_pair();
    sqe.fd = fd[0];
    sqe.addr = (uintptr_t)bytes;
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_RAW, .mem = &sqe});
    CHECK_EQ(simcore_next(&s, 1).flags, WI_CQE_MORE);
    bytes[0]++;
    (void)simcore_next(&s, 1);
}

CASE(sim_check_holds_memory_sent_without_a_copy_until_the_notif)
{
    check_aborts(change_sent_without_copy, "64 bytes of a send on descriptor");
}

static void free_received(void)
{
    open_pair();
    char *memory = malloc(sizeof bytes);
    stage(1, WI_OP_RECV, memory);
    simcore_pass(&s, 0);
    free(memory);
    simcore_cancel(&s, 1);
    (void)simcore_next(&s, 1);
}

CASE(sim_check_names_memory_of_a_request_that_was_freed)
{
#if defined(WI_FIBER_TSAN)
    SKIP("the allocator of ThreadSanitizer leaves what is freed as it was");
#endif
    check_aborts(free_received, FREED);
}

/* No transfer, no end, no step. */
static void free_around_received(void)
{
    struct {
        int before;
        char memory[sizeof bytes];
    } *around = malloc(sizeof *around);
    open_pair();
    stage(1, WI_OP_RECV, around->memory);
    free(around);
    abort();
}

static void free_part_of_message(void)
{
    struct iovec *piece = malloc(sizeof *piece);
    struct msghdr message = {.msg_iov = piece, .msg_iovlen = 1};
    open_pair();
    *piece = (struct iovec){.iov_base = bytes, .iov_len = 1};
    stage(1, WI_OP_SENDMSG, &message);
    free(piece);
    abort();
}

CASE(sim_check_stops_whoever_frees_memory_of_a_request)
{
#if !defined(WI_FIBER_ASAN)
    SKIP("only AddressSanitizer tells of memory that it is freed");
#endif
    check_aborts(free_around_received, FREED);
    check_aborts(free_part_of_message, "memory of a send on descriptor 65538 was freed");
}

__attribute__((noinline)) static void stage_from_a_frame(void)
{
    char own[sizeof bytes];
    memset(own, 1, sizeof own);
    stage(1, WI_OP_SEND, own);
}

__attribute__((noinline)) static void use_the_stack(void)
{
    volatile char other[4 * sizeof bytes];
    for (size_t i = 0; i < sizeof other; i++)
        other[i] = 7;
}

static void leave_a_frame(void)
{
    open_pair();
    stage_from_a_frame();
    use_the_stack();
    (void)simcore_next(&s, 1);
}

CASE(sim_check_names_a_request_whose_stack_was_used_again)
{
    check_aborts(leave_a_frame, LEFT);
}

static void change_path(void)
{
    char path[] = "/other";
    simcore_open(&s, 1, NULL, 0);
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_UNLINK, .fd = -1, .mem = path});
    simcore_pass(&s, 0);
    path[1] = 'x';
    (void)simcore_next(&s, 1);
}

CASE(sim_check_names_a_path_that_was_changed)
{
    check_aborts(change_path, "of a unlink on descriptor -1 changed");
}

static void read_what_was_given_back(void)
{
    char *area;
    open_pair();
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd[0]});
    simcore_send(&s, fd[1], bytes, sizeof bytes);
    struct wi_cqe cqe = simcore_next(&s, 1);
    area = s.be->area + wi_cqe_at(cqe.flags);
    CHECK_EQ(((volatile char *)area)[8], 0);
    simcore_give(&s, cqe);
    if (((volatile char *)area)[8] != 0)
        WEIR_REQUIRE(false, "what was given back reads as %d", area[8]);
}

CASE(sim_check_spoils_received_bytes_that_were_given_back)
{
    check_aborts(read_what_was_given_back, READ_BACK);
}

static void give_twice(void)
{
    open_pair();
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd[0]});
    simcore_send(&s, fd[1], bytes, sizeof bytes);
    struct wi_cqe cqe = simcore_next(&s, 1);
    simcore_give(&s, cqe);
    simcore_give(&s, cqe);
}

/* RX6 */
CASE(sim_check_names_received_bytes_that_are_given_back_twice)
{
    check_aborts(give_twice, "simulation: 64 received bytes are given back, 0 are out");
}

/* ---- descriptors ---- */

static void close_under_a_request(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    simcore_pass(&s, 0);
    (void)simcore_ctl(&s, WI_CTL_CLOSE, fd[0], 0);
}

CASE(sim_check_names_a_descriptor_that_is_closed_under_a_request)
{
    check_aborts(close_under_a_request,
                 "descriptor 65538 is closed while a receive on it is under way");
}

/* Cancelled, and its cancel has said so; but its own completion has not been given out. */
static void close_before_the_last_completion(void)
{
    simcore_open(&s, 1, "late=1", 0);
    simcore_pair(&s, fd);
    stage(1, WI_OP_RECV, bytes);
    simcore_cancel(&s, 1);
    enter_once();
    (void)simcore_ctl(&s, WI_CTL_CLOSE, fd[0], 0);
}

/* CL2 */
CASE(sim_check_names_a_descriptor_that_is_closed_before_the_last_completion)
{
    check_aborts(close_before_the_last_completion,
                 "descriptor 65538 is closed while a receive on it is under way");
}

static void detach_under_a_request(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    simcore_pass(&s, 0);
    s.be->ops->detach(s.be, fd[0], NULL);
}

CASE(sim_check_names_a_descriptor_that_is_let_go_of_under_a_request)
{
    check_aborts(detach_under_a_request,
                 "descriptor 65538 is let go of while a receive on it is under way");
}

static void close_twice(void)
{
    open_pair();
    (void)simcore_ctl(&s, WI_CTL_CLOSE, fd[0], 0);
    (void)simcore_ctl(&s, WI_CTL_CLOSE, fd[0], 0);
}

CASE(sim_check_names_a_descriptor_that_is_closed_twice)
{
    check_aborts(close_twice, "descriptor 65538 is closed twice");
}

static void forget_an_accepted_one(void)
{
    open_pair();
    (void)simcore_ctl(&s, WI_CTL_CLOSE, fd[0], 0);
    simcore_close(&s);
}

CASE(sim_check_names_a_result_that_nobody_took)
{
    check_aborts(forget_an_accepted_one, "a socket, is open at the end of node node0");
}

static void forget_an_opened_one(void)
{
    simcore_open(&s, 1, NULL, 0);
    (void)open_file();
    simcore_close(&s);
}

CASE(sim_check_names_a_file_that_nobody_closed)
{
    check_aborts(forget_an_opened_one,
                 "descriptor 65537, a file, is open at the end of node node0");
}

/* ---- requests ---- */

static void receive_twice(void)
{
    open_pair();
    char other[sizeof bytes];
    stage(1, WI_OP_RECV, bytes);
    stage(2, WI_OP_RECV, other);
    simcore_pass(&s, 0);
}

static void try_beside_a_receive(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    simcore_pass(&s, 0);
    char byte;
    (void)s.be->ops->try(
        s.be, &(struct wi_req){.opcode = WI_OP_RECV, .fd = fd[0], .mem = &byte, .len = 1});
}

/* RX5 */
CASE(sim_check_names_two_receives_of_one_stream)
{
    check_aborts(receive_twice, "simulation: two receives are under way on descriptor 65538");
    check_aborts(try_beside_a_receive,
                 "simulation: two receives are under way on descriptor 65538");
}

static void reuse_a_slot(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    stage(1, WI_OP_NOP, NULL);
}

CASE(sim_check_names_a_slot_that_is_used_before_its_last_completion)
{
    check_aborts(reuse_a_slot, "simulation: slot 1 is used again before its last completion");
}

static void close_too_early(void)
{
    open_pair();
    stage(1, WI_OP_RECV, bytes);
    simcore_pass(&s, 0);
    s.be->ops->close(s.be);
}

CASE(sim_check_names_what_is_under_way_when_a_core_is_closed)
{
    check_aborts(close_too_early,
                 "a core is closed while a receive on descriptor 65538 is under way");
}

static void keep_received_bytes(void)
{
    open_pair();
    simcore_stage(&s, 1, (struct wi_req){.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd[0]});
    simcore_send(&s, fd[1], bytes, sizeof bytes);
    simcore_send(&s, fd[1], bytes, sizeof bytes);
    while ((simcore_next(&s, 1).flags & WI_CQE_MORE) != 0)
        simcore_cancel(&s, 1);
    simcore_pass(&s, 0);
    s.be->ops->close(s.be);
}

CASE(sim_check_names_received_bytes_that_were_kept)
{
    check_aborts(keep_received_bytes, "simulation: received bytes were never given back");
}
