/* SPDX-License-Identifier: MIT */
/*
 * ctx for aarch64 (AAPCS64) -- the contract is in ctx.h.
 *
 *     sp +0 x19 x20 ... x28   +80 x29   +88 x30 (where to go on)   +96 d8 d9 ... d15   +160
 *
 * The way out is a plain branch, not ret: the return predictor holds the callers of the stack that
 * is left. Only a build with branch target identification has to use ret, because a branch may land
 * on landing pads alone and a return address has none.
 *
 * The saved x30 is not signed: callers built with pac-ret keep their own signed copy in their frame.
 * A guarded control stack (GCS) would be needed per task; so the object does not claim GCS, and the
 * linker drops the claim from the whole program.
 */
#if defined(__aarch64__)

#define FRAME_BYTES 160

/* Landing pads as hints: they are no-ops to assemblers and processors older than Armv8.5. */
#define BTI_C hint #34
#define BTI_J hint #36

#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define GO_ON ret
#else
#define GO_ON br x30
#endif

        .text

/* Says where the words of a frame are, for a register that is set to one. */
        .macro cfi_frame base=sp
        .cfi_def_cfa \base, FRAME_BYTES
        .cfi_rel_offset x19, 0
        .cfi_rel_offset x20, 8
        .cfi_rel_offset x21, 16
        .cfi_rel_offset x22, 24
        .cfi_rel_offset x23, 32
        .cfi_rel_offset x24, 40
        .cfi_rel_offset x25, 48
        .cfi_rel_offset x26, 56
        .cfi_rel_offset x27, 64
        .cfi_rel_offset x28, 72
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        .endm

/* The words stay where they were said to be until sp passes them, so one note at the end will do. */
        .macro go_on
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #FRAME_BYTES
        .cfi_def_cfa_offset 0
        .irp    reg, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
        .cfi_restore \reg
        .endr
        .irp    reg, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_restore \reg
        .endr
        GO_ON
        .endm

        .macro function name
        .globl  \name
        .hidden \name
        .type   \name, %function
        .p2align 4
\name:
        .endm

        function wi_ctx_switch
        .cfi_startproc
        BTI_C
        sub     sp, sp, #FRAME_BYTES
        .cfi_def_cfa_offset FRAME_BYTES
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        cfi_frame
        mov     x2, sp
        str     x2, [x0]
        mov     sp, x1
        go_on
        .cfi_endproc
        .size   wi_ctx_switch, . - wi_ctx_switch

        function wi_ctx_jump
        .cfi_startproc
        BTI_C
        mov     sp, x0
        cfi_frame
        go_on
        .cfi_endproc
        .size   wi_ctx_jump, . - wi_ctx_jump

/*
 * The outermost frame of a context: x19 is the entry, x20 its argument. There is no caller: the
 * return address is undefined to DWARF unwinders, and x29 is 0 for those that follow frame pointers.
 * Contexts land behind the nop, because unwinders look up the instruction before a return address
 * and must find this function there.
 */
        function wi_ctx_start
        .cfi_startproc
        .cfi_undefined x30
        nop
.Llanding:
        BTI_J
        mov     x0, x20
        adr     x30, .Lreturned
        mov     x16, x19 /* a branch by x16 may land where a call may */
        br      x16
.Lreturned:
        brk     #1
        .cfi_endproc
        .size   wi_ctx_start, . - wi_ctx_start
        .globl  wi_ctx_start_end
        .hidden wi_ctx_start_end
wi_ctx_start_end:

/* Two zero words stay above the frame, for tools that scan for a frame record. */
        function wi_ctx_prepare
        .cfi_startproc
        BTI_C
        and     x0, x0, #-16
        stp     xzr, xzr, [x0, #-16]!
        sub     x0, x0, #FRAME_BYTES
        adrp    x3, .Llanding
        add     x3, x3, :lo12:.Llanding
        stp     x1, x2, [x0, #0]
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        stp     xzr, x3, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, xzr, [x0, #144]
        ret
        .cfi_endproc
        .size   wi_ctx_prepare, . - wi_ctx_prepare

/* x19 is the context's sp while fn runs: to unwinders the caller is whoever switched away there. */
        function wi_ctx_visit
        .cfi_startproc
        BTI_C
        stp     x29, x30, [sp, #-32]!
        .cfi_def_cfa_offset 32
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        str     x19, [sp, #16]
        .cfi_rel_offset x19, 16
        mov     x29, sp
        mov     x19, x0
        mov     x0, x2
        .cfi_remember_state
        cfi_frame x19
        blr     x1
        .cfi_restore_state
        ldr     x19, [sp, #16]
        ldp     x29, x30, [sp], #32
        .cfi_restore x19
        .cfi_restore x29
        .cfi_restore x30
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   wi_ctx_visit, . - wi_ctx_visit

#if defined(__ARM_FEATURE_BTI_DEFAULT)
/* NT_GNU_PROPERTY_TYPE_0, GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI (1), neither PAC (2) nor GCS (4). */
        .section .note.gnu.property, "a", %note
        .p2align 3
        .long   4, 16, 5
        .asciz  "GNU"
        .long   0xc0000000, 4, 1, 0
#endif

#endif /* __aarch64__ */

        .section .note.GNU-stack, "", %progbits
