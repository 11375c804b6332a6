/* SPDX-License-Identifier: MIT */
/*
 * fiber -- tells sanitizers and valgrind which stack runs. In a normal build all of it is nothing.
 *
 * One struct wi_fiber per stack: a zeroed one for the thread's own stack, one made by
 * wi_fiber_create for every other. Every switch is a pair around wi_ctx_switch, whether it goes
 * from a loop to a task, back, or from task to task:
 *
 *     on the stack of A                                  on the stack of B
 *     wi_fiber_leave(&a, &b, false);                     wi_fiber_arrive(&b, &a);
 *     wi_ctx_switch(&a_sp, b_sp);              ---->     (after its own wi_ctx_switch came back, or
 *     wi_fiber_arrive(&a, &whoever_came);                as the first thing its entry does)
 *
 * Who came is known to the scheduler alone, so it names it. No instrumented call may stand between
 * leave and the switch. The last leave of a context says `exiting` and goes by wi_ctx_jump; its
 * struct must stay until the other side has arrived. Before a stack serves its next context it is
 * told so with wi_fiber_renew.
 *
 * What it does. ASan: hands over the bounds and the fake stack, clears the poison that frames left
 * by a jump leave behind. LSan: pointers on parked stacks are roots; those that live only on a
 * parked task's fake stack (detect_stack_use_after_return) are not seen. TSan: one fiber per
 * context, made at its first run, ended at its exit, because the shadow call stack of a fiber that
 * is jumped off would grow with every reuse; gcc 12 allows 8,127 at a time and takes half a
 * millisecond for each, clang some ten microseconds. Valgrind, if built with WEIR_VALGRIND=1:
 * registers the stacks (DRD cannot cope with that; memcheck and helgrind can).
 *
 * One thread per fiber, all the time.
 */
#ifndef WI_BASE_FIBER_H
#define WI_BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WI_FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define WI_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WI_FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define WI_FIBER_TSAN 1
#endif
#endif

#if defined(WI_FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#elif defined(WI_FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(WEIR_VALGRIND) && defined(__has_include)
#if WEIR_VALGRIND && __has_include(<valgrind/valgrind.h>)
#define WI_FIBER_VALGRIND 1
#include <valgrind/valgrind.h>
#endif
#endif

/* Inlined even at -O0: a call of its own would be entered on one shadow stack and left on another.
 */
#define WI_FIBER_INLINE static inline __attribute__((always_inline))

struct wi_fiber {
#if defined(WI_FIBER_ASAN)
    const void *low;  /* of a thread's stack: known once it has been left */
    size_t bytes;     /* of the whole stack, guard excluded */
    void *fake_stack; /* while parked; NULL before the first run */
#elif defined(WI_FIBER_TSAN)
    void *fiber; /* NULL before the first run */
    bool exited; /* left for ever; whoever arrives ends the fiber */
#endif
#if defined(WI_FIBER_VALGRIND)
    unsigned stack_id;
#endif
};

/* Makes the usable bytes of a new stack known. */
WI_FIBER_INLINE void wi_fiber_create(struct wi_fiber *self, void *low, size_t bytes)
{
    *self = (struct wi_fiber){};
#if defined(WI_FIBER_ASAN)
    self->low = low;
    self->bytes = bytes;
    __lsan_register_root_region(low, bytes);
#endif
#if defined(WI_FIBER_VALGRIND)
    self->stack_id = VALGRIND_STACK_REGISTER(low, (char *)low + bytes - 1);
#endif
    (void)low;
    (void)bytes;
}

/* The next context on this stack owes nothing to the one before. Nobody runs on it. */
WI_FIBER_INLINE void wi_fiber_renew(struct wi_fiber *self)
{
#if defined(WI_FIBER_ASAN)
    __asan_unpoison_memory_region(self->low, self->bytes);
    self->fake_stack = NULL;
#elif defined(WI_FIBER_TSAN)
    if (self->fiber != NULL)
        __tsan_destroy_fiber(self->fiber);
    self->fiber = NULL;
#endif
    (void)self;
}

/* Before the memory of a stack that nobody runs on is released. */
WI_FIBER_INLINE void wi_fiber_destroy(struct wi_fiber *self)
{
    wi_fiber_renew(self);
#if defined(WI_FIBER_ASAN)
    __lsan_unregister_root_region(self->low, self->bytes);
#endif
#if defined(WI_FIBER_VALGRIND)
    VALGRIND_STACK_DEREGISTER(self->stack_id);
#endif
}

/* On the stack of `from`, immediately before the switch or jump to `to`. */
WI_FIBER_INLINE void wi_fiber_leave(struct wi_fiber *from, struct wi_fiber *to, bool exiting)
{
#if defined(WI_FIBER_ASAN)
    __sanitizer_start_switch_fiber(exiting ? NULL : &from->fake_stack, to->low, to->bytes);
#elif defined(WI_FIBER_TSAN)
    from->fiber = __tsan_get_current_fiber();
    from->exited = exiting;
    if (to->fiber == NULL)
        to->fiber = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
    (void)exiting;
}

/* On the stack of `self`, immediately after `from` switched or jumped to it. */
WI_FIBER_INLINE void wi_fiber_arrive(struct wi_fiber *self, struct wi_fiber *from)
{
#if defined(WI_FIBER_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->low, &from->bytes);
    self->fake_stack = NULL;
#elif defined(WI_FIBER_TSAN)
    if (from->exited) {
        __tsan_destroy_fiber(from->fiber);
        from->fiber = NULL;
        from->exited = false;
    }
#endif
    (void)self;
    (void)from;
}

#endif /* WI_BASE_FIBER_H */
