/* SPDX-License-Identifier: MIT */
/*
 * ctx for x86-64 (System V ABI) -- the contract is in ctx.h.
 *
 *     sp +0 r15   +8 r14   +16 r13   +24 r12   +32 rbx   +40 rbp   +48 address to go on at
 *
 * The way out is pop and jump, not ret: the return predictor holds the callers of the stack that is
 * left, so a ret would be mispredicted as often as not. For the same reason a context is entered by a
 * jump, and the scheduler enters these functions by jumps (ctx.h): a call that no ret answers would
 * put the predictor out of step for every ret that follows.
 *
 * CET. Indirect branch tracking: the functions begin with endbr64 and the jump, whose target is a
 * return address, is `notrack`; so the object claims IBT. Shadow stacks: a switch would need its own
 * shadow stack per task; so the object does not claim SHSTK, and the linker then drops the claim
 * from the whole program instead of letting it fault at run time.
 */
#if defined(__x86_64__)

#define FRAME_BYTES 56
#define RED_ZONE_BYTES 128

        .text

/* Says where the words of a frame are, for a register that has just been set to one. */
        .macro cfi_frame base=rsp, bytes=FRAME_BYTES
        .cfi_def_cfa \base, \bytes
        .cfi_rel_offset r15, 0
        .cfi_rel_offset r14, 8
        .cfi_rel_offset r13, 16
        .cfi_rel_offset r12, 24
        .cfi_rel_offset rbx, 32
        .cfi_rel_offset rbp, 40
        .cfi_rel_offset rip, 48
        .endm

        .macro save reg
        pushq   %\reg
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \reg, 0
        .endm

        .macro restore reg
        popq    %\reg
        .cfi_adjust_cfa_offset -8
        .cfi_restore \reg
        .endm

        .macro go_on
        restore r15
        restore r14
        restore r13
        restore r12
        restore rbx
        restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        notrack jmp *%rcx
        .endm

        .macro function name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
        .endm

        function wi_ctx_switch
        .cfi_startproc
        endbr64
        save    rbp
        save    rbx
        save    r12
        save    r13
        save    r14
        save    r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        go_on
        .cfi_endproc
        .size   wi_ctx_switch, . - wi_ctx_switch

        function wi_ctx_jump
        .cfi_startproc
        endbr64
        movq    %rdi, %rsp
        cfi_frame
        go_on
        .cfi_endproc
        .size   wi_ctx_jump, . - wi_ctx_jump

/*
 * The outermost frame of a context: r12 is the entry, r13 its argument, sp is 16-aligned as the ABI
 * wants it at a call. There is no caller: the return address is undefined to DWARF unwinders, and
 * rbp is 0 for those that follow frame pointers. Contexts land behind the nop, because unwinders
 * look up the byte before a return address and must find this function there.
 */
        function wi_ctx_start
        .cfi_startproc
        .cfi_undefined rip
        nop
.Llanding:
        movq    %r13, %rdi
        leaq    .Lreturned(%rip), %rax
        pushq   %rax
        jmp     *%r12
.Lreturned:
        ud2
        .cfi_endproc
        .size   wi_ctx_start, . - wi_ctx_start
        .globl  wi_ctx_start_end
        .hidden wi_ctx_start_end
wi_ctx_start_end:

/* Two zero words stay above the frame, for tools that scan for a return address. */
        function wi_ctx_prepare
        .cfi_startproc
        endbr64
        andq    $-16, %rdi
        leaq    -16 - FRAME_BYTES(%rdi), %rax
        leaq    .Llanding(%rip), %r8
        xorl    %ecx, %ecx
        movq    %rcx, 0(%rax)
        movq    %rcx, 8(%rax)
        movq    %rdx, 16(%rax)
        movq    %rsi, 24(%rax)
        movq    %rcx, 32(%rax)
        movq    %rcx, 40(%rax)
        movq    %r8, 48(%rax)
        movq    %rcx, FRAME_BYTES(%rax)
        movq    %rcx, FRAME_BYTES + 8(%rax)
        ret
        .cfi_endproc
        .size   wi_ctx_prepare, . - wi_ctx_prepare

/* rbx is the context's sp while fn runs: to unwinders the caller is whoever switched away there, by
 * wi_ctx_swap, which has stepped over its red zone. */
        function wi_ctx_visit
        .cfi_startproc
        endbr64
        save    rbx
        movq    %rdi, %rbx
        movq    %rdx, %rdi
        .cfi_remember_state
        cfi_frame rbx, FRAME_BYTES + RED_ZONE_BYTES
        call    *%rsi
        .cfi_restore_state
        restore rbx
        ret
        .cfi_endproc
        .size   wi_ctx_visit, . - wi_ctx_visit

/* NT_GNU_PROPERTY_TYPE_0, GNU_PROPERTY_X86_FEATURE_1_AND: IBT (1) and not SHSTK (2). */
        .section .note.gnu.property, "a", @note
        .p2align 3
        .long   4, 16, 5
        .asciz  "GNU"
        .long   0xc0000002, 4, 1, 0

#endif /* __x86_64__ */

        .section .note.GNU-stack, "", %progbits
