/* SPDX-License-Identifier: MIT */
/*
 * ctx -- leave one stack, go on with another: the only assembly of the house.
 *
 *     stack of A                        stack of B
 *     | frames of A        |            | frames of B        |
 *     | return address     |            | return address     |  <- popped, then jumped to
 *     | callee-saved words |  <- *save  | callee-saved words |  <- load
 *
 * A context that is not running is one pointer: the stack pointer below its saved words. It belongs
 * to whoever keeps that pointer, and is good for exactly one switch or jump. Contexts stay on the
 * thread that runs them only because the scheduler says so; nothing here knows about threads.
 *
 * What the ABI calls callee-saved survives, with two exceptions, on purpose. The floating-point
 * control words (mxcsr and x87 on x86-64, fpcr on aarch64) and the signal mask are the thread's: a
 * context that changes the rounding mode changes it for the next one too, and has to put it back
 * before it switches. Saving them would double the time of a switch, at best.
 *
 * Sanitizers and valgrind must be told of every switch; that is base/fiber.h, and is not done here.
 */
#ifndef WI_BASE_CTX_H
#define WI_BASE_CTX_H

/* Saves the running context in *save and goes on with `load`; returns when somebody loads *save. */
void wi_ctx_switch(void **save, void *load);

/* Goes on with `load` and never comes back: nothing of the running context is kept. */
_Noreturn void wi_ctx_jump(void *load);

/*
 * The same two, entered by a jump instead of a call. A processor predicts returns by counting calls;
 * a call that is left by a jump puts it one out of step, and every return after the switch is then
 * mispredicted. Between two contexts that park at the same depth these cost a third of a call.
 *
 * For a function of its own that holds no floating-point or vector values (noinline). On x86-64 the
 * saved context is 128 bytes further down than the compiler's tables of that function say, if they
 * count from the stack pointer: debuggers have to set it above the stepped-over red zone.
 */
static inline __attribute__((always_inline)) void wi_ctx_swap(void **save, void *load)
{
#if defined(__x86_64__)
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "jmp wi_ctx_switch\n"
                     "1:\tleaq 128(%%rsp), %%rsp"
                     : "+D"(save), "+S"(load)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
#else
    wi_ctx_switch(save, load);
#endif
}

_Noreturn static inline __attribute__((always_inline)) void wi_ctx_leave(void *load)
{
#if defined(__x86_64__)
    __asm__ volatile("jmp wi_ctx_jump" : : "D"(load) : "memory");
    __builtin_unreachable();
#else
    wi_ctx_jump(load);
#endif
}

/*
 * Lays a first frame below `top` (rounded down to 16) and gives the context that, once loaded,
 * calls entry(arg) there. Takes less than 200 bytes. Unwinders end below `entry`, which never
 * returns: if it does, the process traps.
 */
void *wi_ctx_prepare(void *top, void (*entry)(void *arg), void *arg);

/* Calls fn(arg) here, while unwinders take the context `sp`, left by wi_ctx_swap or not yet run, for
 * the caller; it is not touched. */
void wi_ctx_visit(const void *sp, void (*fn)(void *arg), void *arg);

/* The code of the outermost frame of every context, where unwinders end. */
extern const char wi_ctx_start[], wi_ctx_start_end[];

#endif /* WI_BASE_CTX_H */
