/* SPDX-License-Identifier: MIT */
/* What survives a switch of contexts, what does not, and what a debugger sees of one. */
#include "base/ctx.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "check.h"
#include "support/child.h"
#include "support/coro.h"

static const struct wi_stack_opts default_stacks;

/* TSan has room for 8,000 contexts at a time, and gcc's takes half a millisecond to make one. */
#if defined(WI_FIBER_TSAN)
enum { NEST = 1000, LIVES = 1000 };
#else
enum { NEST = 10000, LIVES = 100000 };
#endif

/*
 * regs_switch(save, load, regs): fills every callee-saved register from regs[0], switches, and puts
 * what it finds in them afterwards into regs[1]. By hand, because a compiler would keep some of
 * them for itself.
 */
#if defined(__x86_64__)
enum { REGS = 6 };
__asm__(".text\n"
        "regs_switch:\n"
        "        pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "        pushq %rdx\n"
        "        movq 0(%rdx), %rbx; movq 8(%rdx), %rbp; movq 16(%rdx), %r12\n"
        "        movq 24(%rdx), %r13; movq 32(%rdx), %r14; movq 40(%rdx), %r15\n"
        "        call wi_ctx_switch\n"
        "        popq %rdx\n"
        "        movq %rbx, 48(%rdx); movq %rbp, 56(%rdx); movq %r12, 64(%rdx)\n"
        "        movq %r13, 72(%rdx); movq %r14, 80(%rdx); movq %r15, 88(%rdx)\n"
        "        popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "        ret\n");
#elif defined(__aarch64__)
enum { REGS = 19 }; /* x19 .. x29, d8 .. d15 */
__asm__(".text\n"
        "regs_switch:\n"
        "        sub sp, sp, #176\n"
        "        stp x19, x20, [sp, #0]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]\n"
        "        stp x25, x26, [sp, #48]; stp x27, x28, [sp, #64]; stp x29, x30, [sp, #80]\n"
        "        stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]\n"
        "        stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]\n"
        "        str x2, [sp, #160]\n"
        "        ldp x19, x20, [x2, #0]; ldp x21, x22, [x2, #16]; ldp x23, x24, [x2, #32]\n"
        "        ldp x25, x26, [x2, #48]; ldp x27, x28, [x2, #64]; ldr x29, [x2, #80]\n"
        "        ldp d8, d9, [x2, #88]; ldp d10, d11, [x2, #104]\n"
        "        ldp d12, d13, [x2, #120]; ldp d14, d15, [x2, #136]\n"
        "        bl wi_ctx_switch\n"
        "        ldr x2, [sp, #160]\n"
        "        add x2, x2, #152\n"
        "        stp x19, x20, [x2, #0]; stp x21, x22, [x2, #16]; stp x23, x24, [x2, #32]\n"
        "        stp x25, x26, [x2, #48]; stp x27, x28, [x2, #64]; str x29, [x2, #80]\n"
        "        stp d8, d9, [x2, #88]; stp d10, d11, [x2, #104]\n"
        "        stp d12, d13, [x2, #120]; stp d14, d15, [x2, #136]\n"
        "        ldp x19, x20, [sp, #0]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]\n"
        "        ldp x25, x26, [sp, #48]; ldp x27, x28, [sp, #64]; ldp x29, x30, [sp, #80]\n"
        "        ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]\n"
        "        ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]\n"
        "        add sp, sp, #176\n"
        "        ret\n");
#endif
void regs_switch(void **save, void *load, void *regs);

static uint64_t random_state = 1;

static uint64_t random_word(void) /* splitmix64 (Steele et al. 2014) */
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

enum { CROWD = 64, CROWD_SWITCHES = 100000 };
static struct coro crowd[CROWD];
static int crowd_switches;

static void switch_at_random(struct coro *self)
{
    (void)self;
    while (crowd_switches < CROWD_SWITCHES) {
        uint64_t regs[2][REGS];
        for (int i = 0; i < REGS; i++)
            regs[0][i] = random_word();
        crowd_switches++;
        struct coro *to = &crowd[random_word() % CROWD];
        if (to == self || to->over)
            to = coro_main();
        coro_hand_over_by(to, regs_switch, regs);
        for (int i = 0; i < REGS; i++)
            CHECK_EQ(regs[1][i], regs[0][i]);
    }
}

CASE(callee_saved_registers_survive_random_switches)
{
    coro_open(&default_stacks);
    for (int i = 0; i < CROWD; i++)
        coro_start(&crowd[i], switch_at_random);
    for (int over = 0; over < CROWD;) {
        over = 0;
        for (int i = 0; i < CROWD; i++) {
            if (!crowd[i].over)
                coro_resume(&crowd[i]);
            over += crowd[i].over;
        }
    }
    CHECK_GE(crowd_switches, CROWD_SWITCHES);
    coro_close();
}

enum { ALTERNATIONS = 100000 };

/* Sums that stay in registers across the call as far as the ABI lets the compiler. */
static void sum_up(struct coro *self)
{
    double *result = self->arg;
    double a = *result, b = 1, c = -*result, d = 0.5;
    for (int i = 0; i < ALTERNATIONS; i++) {
        a += 0.25;
        b += d;
        c -= 0.25;
        coro_park();
    }
    *result = a + c + b;
}

CASE(doubles_survive_switches)
{
    double one = 1e6, two = 3e6;
    struct coro a = {.arg = &one}, b = {.arg = &two};
    coro_open(&default_stacks);
    coro_start(&a, sum_up);
    coro_start(&b, sum_up);
    double mine = 0;
    while (!a.over) {
        coro_resume(&a);
        mine += 0.5;
        coro_resume(&b);
    }
    CHECK_EQ(b.over, true);
    CHECK_EQ(one, 1 + 0.5 * ALTERNATIONS);
    CHECK_EQ(two, 1 + 0.5 * ALTERNATIONS);
    CHECK_EQ(mine, 0.5 * (ALTERNATIONS + 1));
    coro_close();
}

/* The control words: mxcsr and below it x87's, or fpcr. */
static uint64_t control_words(void)
{
#if defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (uint64_t)mxcsr << 16 | x87;
#else
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
#endif
}

static void set_control_words(uint64_t words)
{
#if defined(__x86_64__)
    uint32_t mxcsr = (uint32_t)(words >> 16);
    uint16_t x87 = (uint16_t)words;
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(x87));
#else
    __asm__ volatile("msr fpcr, %0" : : "r"(words));
#endif
}

#if defined(__x86_64__)
#define ROUND_DOWN (UINT64_C(0x2000) << 16 | 0x0400) /* in mxcsr, in x87 */
#define ROUND_UP (UINT64_C(0x4000) << 16 | 0x0800)
#else
#define ROUND_DOWN UINT64_C(0x800000)
#define ROUND_UP UINT64_C(0x400000)
#endif

static void turn_rounding(struct coro *self)
{
    uint64_t *seen = self->arg;
    *seen = control_words();
    set_control_words((*seen & ~ROUND_DOWN) | ROUND_UP);
}

/* Documented: the control words belong to the thread. */
CASE(rounding_mode_is_not_switched)
{
    uint64_t nearest = control_words(), seen = 0;
    struct coro c = {.arg = &seen};
    coro_open(&default_stacks);
    coro_start(&c, turn_rounding);
    set_control_words(nearest | ROUND_DOWN);
    coro_resume(&c);
    uint64_t after = control_words();
    set_control_words(nearest);
    CHECK_EQ(seen, nearest | ROUND_DOWN);
    CHECK_EQ(after, nearest | ROUND_UP);
    coro_close();
}

static void block_a_signal(struct coro *self)
{
    sigset_t set;
    (void)self;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}

CASE(signal_mask_is_not_switched)
{
    sigset_t set;
    struct coro c = {0};
    coro_open(&default_stacks);
    coro_start(&c, block_a_signal);
    coro_resume(&c);
    CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &set), 0);
    CHECK_EQ(sigismember(&set, SIGUSR1), 1);
    coro_close();
}

/* Raw contexts, without the hooks: not for sanitizers to see into. */
static char raw_stack[65536] __attribute__((aligned(16)));
static void *raw_main, *raw_arg;
static uintptr_t raw_frame;

__attribute__((no_sanitize_address)) static void note_frame(void *arg)
{
#if defined(__x86_64__)
    char room[16] __attribute__((aligned(16)));
    /* The compiler trusts the ABI; movaps does not. */
    __asm__ volatile("movaps %%xmm0, %0" : "=m"(room));
#endif
    raw_frame = (uintptr_t)__builtin_frame_address(0);
    raw_arg = arg;
    wi_ctx_jump(raw_main);
}

CASE(entry_gets_its_argument_and_an_aligned_stack)
{
    int thing;
    for (size_t off = 0; off < 16; off++) {
        char *top = raw_stack + sizeof raw_stack - off;
        wi_ctx_switch(&raw_main, wi_ctx_prepare(top, note_frame, &thing));
        CHECK_EQ(raw_arg, &thing);
        CHECK_EQ(raw_frame % 16, 0);
        CHECK_LT(raw_frame, (uintptr_t)top);
        CHECK_GT(raw_frame, (uintptr_t)top - 512);
    }
}

CASE(first_frame_is_small_and_ends_in_zeros)
{
    static const uintptr_t zeros[2];
    char *top = raw_stack + sizeof raw_stack;
    memset(raw_stack, 0xff, sizeof raw_stack);
    char *sp = wi_ctx_prepare(top, note_frame, NULL);
    CHECK_LT(top - sp, 200);
    CHECK_EQ(memcmp(top - sizeof zeros, zeros, sizeof zeros), 0);
    for (char *p = raw_stack; p < sp; p++)
        CHECK_EQ(*p, (char)0xff);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void enter_what_returns(void *arg)
{
    void *sp;
    (void)arg;
    (void)signal(SIGILL, SIG_DFL);
    (void)signal(SIGTRAP, SIG_DFL);
    wi_ctx_switch(&sp, wi_ctx_prepare(raw_stack + sizeof raw_stack, do_nothing, NULL));
}

CASE(entry_that_returns_traps)
{
    static struct child child;
    child_run(&child, enter_what_returns, NULL);
#if defined(__x86_64__)
    CHECK_EQ(child.signal, SIGILL);
#else
    CHECK_EQ(child.signal, SIGTRAP);
#endif
}

static void count_up(struct coro *self)
{
    ++*(int *)self->arg;
}

CASE(contexts_that_jump_away_leave_their_stack_usable)
{
    int count = 0;
    struct coro c = {.arg = &count};
    coro_open(&default_stacks);
    for (int i = 0; i < LIVES; i++) {
        coro_start(&c, count_up);
        coro_resume(&c);
    }
    CHECK_EQ(count, LIVES);
    CHECK_EQ(coro_pool()->carved_count, 1);
    coro_close();
}

static struct coro nest[NEST];
static int nest_depth, nest_back;

static void nest_deeper(struct coro *self)
{
    int depth = ++nest_depth;
    if (depth < NEST) {
        struct coro *next = self + 1;
        coro_start(next, nest_deeper);
        coro_hand_over(next);
    }
    CHECK_EQ(nest_depth--, depth);
    nest_back++;
    if (depth > 1)
        coro_hand_over(self - 1);
}

CASE(nested_contexts_come_back_in_order)
{
    coro_open(&default_stacks);
    coro_start(&nest[0], nest_deeper);
    coro_resume(&nest[0]);
    CHECK_EQ(nest_back, NEST);
    CHECK_EQ(nest_depth, 0);
    for (int i = 1; i < NEST; i++)
        coro_resume(&nest[i]);
    coro_close();
}

struct walk {
    int frames;
    uintptr_t last;
};

static _Unwind_Reason_Code note_frame_of(struct _Unwind_Context *at, void *arg)
{
    struct walk *walk = arg;
    uintptr_t ip = _Unwind_GetIP(at);
    if (ip == 0)
        return _URC_NO_REASON;
    walk->frames++;
    walk->last = ip;
    return walk->frames < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void walk_up(struct coro *self)
{
    struct walk *walk = self->arg;
    CHECK_EQ(_Unwind_Backtrace(note_frame_of, walk), _URC_END_OF_STACK);
}

CASE(unwinder_ends_at_the_first_frame)
{
    struct walk walk = {0};
    struct coro c = {.arg = &walk};
    coro_open(&default_stacks);
    coro_start(&c, walk_up);
    coro_resume(&c);
    CHECK_GE(walk.frames, 2);
    CHECK_LE(walk.frames, 6);
    CHECK_GT(walk.last, (uintptr_t)wi_ctx_start);
    CHECK_LE(walk.last, (uintptr_t)wi_ctx_start + 32);
    coro_close();
}

static void park_twice(struct coro *self)
{
    (void)self;
    coro_park();
    coro_park();
}

static void be_debugged(void)
{
    struct coro c = {0};
    coro_open(&default_stacks);
    coro_start(&c, park_twice);
    while (!c.over)
        coro_resume(&c);
    coro_close();
}

enum { GDB_STEPS = 60 }; /* more instructions than wi_ctx_switch has on any machine */

/* Stops at the first switch, into a context that is new, and at the second, out of it. */
static void run_gdb(void *arg)
{
    static const char *argv[16 + 4 * (GDB_STEPS + 1) * 3];
    int n = 0;
    static const char *const head[] = {
        "gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "break wi_ctx_switch",
        "-ex", "run"};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        argv[n++] = head[i];
    for (int stop = 0; stop < 3; stop++) {
        for (int i = 0; i < GDB_STEPS / 2; i++) {
            argv[n++] = "-ex";
            argv[n++] = "backtrace";
            argv[n++] = "-ex";
            argv[n++] = "stepi";
        }
        argv[n++] = "-ex";
        argv[n++] = "continue";
    }
    argv[n++] = "--args";
    argv[n++] = arg;
    argv[n++] = "gdb_ends_every_backtrace_within_a_switch";
    (void)setenv("CTX_TEST_DEBUGGED", "1", 1);
    (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* which would need ptrace for itself */
    (void)execvp("gdb", (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Counts the backtraces in gdb's output; each has to end in one of the two outermost functions. */
static int check_backtraces(const char *text)
{
    char last[256] = "";
    int count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (*text == '#') {
            if (strncmp(text, "#0 ", 3) == 0)
                count++;
            (void)snprintf(last, sizeof last, "%.*s", (int)len, text);
        } else if (*last != '\0') {
            if (strstr(last, " wi_ctx_start ") == NULL && strstr(last, " main ") == NULL)
                CHECK_STR_EQ(last, "a frame of wi_ctx_start or main");
            *last = '\0';
        }
        text += len + (text[len] == '\n');
    }
    return count;
}

CASE(gdb_ends_every_backtrace_within_a_switch)
{
    static struct child child;
    static char self[4096];
    if (getenv("CTX_TEST_DEBUGGED") != NULL) {
        be_debugged();
        return;
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK_GT(len, 0);
    child_run(&child, run_gdb, self);
    if (child.exit_code == 127)
        SKIP("there is no gdb");
    if (child_said(&child, "not permitted") || !child_said(&child, "Breakpoint 1, "))
        SKIP("gdb cannot run this program here");
    CHECK_GE(check_backtraces(child.said), 3 * (GDB_STEPS / 2));
    CHECK(!child_said(&child, "Backtrace stopped"));
    CHECK(!child_said(&child, "?? ()"));
    CHECK(child_said(&child, " wi_ctx_start "));
}
