/*
 * context_aarch64.S: the switch for the AAPCS64: x19 to x28, the frame pointer, and d8 to d15, whose lower halves the callee keeps; a br to
 * where the other side left off, for a ret would be mispredicted each time. No BTI or PAC marking. FPCR is a constant of the thread.
 */
#if defined(__aarch64__) && defined(__ELF__) && !defined(CO_UCONTEXT)

	.text

/* int co_context_switch(struct co_context *from, const struct co_context *to, int value) */
	.globl co_context_switch
	.hidden co_context_switch
	.type co_context_switch, %function
	.p2align 4
co_context_switch:
	.cfi_startproc
	sub sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp x29, x30, [sp, #0]
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	ldr x9, [x1]
	mov x10, sp
	str x10, [x0]
	mov w0, w2
	mov sp, x9
	/* The other stack looks the same. */
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	ldp x29, x30, [sp, #0]
	.cfi_restore x29
	.cfi_restore x30
	add sp, sp, #160
	.cfi_adjust_cfa_offset -160
	br x30
	.cfi_endproc
	.size co_context_switch, . - co_context_switch

/* Where a new context begins: x19 holds the function, x20 its argument. The outermost frame: nothing to return to. */
	.type context_entry, %function
	.p2align 4
context_entry:
	.cfi_startproc
	.cfi_undefined x30
	mov x0, x20
	mov x29, xzr
	mov x30, xzr
	blr x19
	brk #1
	.cfi_endproc
	.size context_entry, . - context_entry

/* void co_context_make(struct co_context *c, void *bottom, void *top, void (*entry)(void *), void *arg) */
	.globl co_context_make
	.hidden co_context_make
	.type co_context_make, %function
	.p2align 4
co_context_make:
	.cfi_startproc
	/* an empty frame record ends the chain; below it what the switch loads */
	sub x9, x2, #176
	stp xzr, xzr, [x9, #160]
	adr x10, context_entry
	stp xzr, x10, [x9, #0]
	stp x3, x4, [x9, #16]
	stp xzr, xzr, [x9, #32]
	stp xzr, xzr, [x9, #48]
	stp xzr, xzr, [x9, #64]
	stp xzr, xzr, [x9, #80]
	stp xzr, xzr, [x9, #96]
	stp xzr, xzr, [x9, #112]
	stp xzr, xzr, [x9, #128]
	stp xzr, xzr, [x9, #144]
	str x9, [x0]
	ret
	.cfi_endproc
	.size co_context_make, . - co_context_make

/* void *co_context_pc(const struct co_context *c): x30 as it was stored */
	.globl co_context_pc
	.hidden co_context_pc
	.type co_context_pc, %function
	.p2align 4
co_context_pc:
	.cfi_startproc
	ldr x9, [x0]
	ldr x0, [x9, #8]
	ret
	.cfi_endproc
	.size co_context_pc, . - co_context_pc

/* void *co_context_frame(const struct co_context *c): x29 as it was stored */
	.globl co_context_frame
	.hidden co_context_frame
	.type co_context_frame, %function
	.p2align 4
co_context_frame:
	.cfi_startproc
	ldr x9, [x0]
	ldr x0, [x9]
	ret
	.cfi_endproc
	.size co_context_frame, . - co_context_frame

#endif

#if defined(__linux__) && defined(__ELF__)
	.section .note.GNU-stack,"",%progbits
#endif
