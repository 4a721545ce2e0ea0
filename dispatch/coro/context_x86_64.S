/*
 * context_x86_64.S: the switch for the System V ABI: six callee-saved registers, and a jmp to where the other side left off, for a
 * ret would be mispredicted each time. No CET marking: shadow stacks are not handled.
 */
#if defined(__x86_64__) && defined(__ELF__) && !defined(CO_UCONTEXT)

	.text

/* int co_context_switch(struct co_context *from, const struct co_context *to, int value) */
	.globl co_context_switch
	.hidden co_context_switch
	.type co_context_switch, @function
	.p2align 4
co_context_switch:
	.cfi_startproc
	movl %edx, %eax
	movq (%rsi), %rdx
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	movq %rsp, (%rdi)
	/* The other stack looks the same, so what is said above of the frame holds on. */
	movq %rdx, %rsp
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmpq *%rcx
	.cfi_endproc
	.size co_context_switch, . - co_context_switch

/* Where a new context begins: r12 holds the function, r13 its argument. The outermost frame: nothing to return to. */
	.type context_entry, @function
	.p2align 4
context_entry:
	.cfi_startproc
	.cfi_undefined %rip
	movq %r13, %rdi
	xorl %ebp, %ebp
	callq *%r12
	ud2
	.cfi_endproc
	.size context_entry, . - context_entry

/* void co_context_make(struct co_context *c, void *bottom, void *top, void (*entry)(void *), void *arg) */
	.globl co_context_make
	.hidden co_context_make
	.type co_context_make, @function
	.p2align 4
co_context_make:
	.cfi_startproc
	leaq context_entry(%rip), %rax
	/* two empty words end the chain of frames; then rip, rbp, rbx, r12, r13, r14, r15 as the switch pops them */
	movq $0, -8(%rdx)
	movq $0, -16(%rdx)
	movq %rax, -24(%rdx)
	movq $0, -32(%rdx)
	movq $0, -40(%rdx)
	movq %rcx, -48(%rdx)
	movq %r8, -56(%rdx)
	movq $0, -64(%rdx)
	movq $0, -72(%rdx)
	leaq -72(%rdx), %rax
	movq %rax, (%rdi)
	retq
	.cfi_endproc
	.size co_context_make, . - co_context_make

/* void *co_context_pc(const struct co_context *c): the return address of the switch */
	.globl co_context_pc
	.hidden co_context_pc
	.type co_context_pc, @function
	.p2align 4
co_context_pc:
	.cfi_startproc
	movq (%rdi), %rax
	movq 48(%rax), %rax
	retq
	.cfi_endproc
	.size co_context_pc, . - co_context_pc

/* void *co_context_frame(const struct co_context *c): rbp as it was pushed */
	.globl co_context_frame
	.hidden co_context_frame
	.type co_context_frame, @function
	.p2align 4
co_context_frame:
	.cfi_startproc
	movq (%rdi), %rax
	movq 40(%rax), %rax
	retq
	.cfi_endproc
	.size co_context_frame, . - co_context_frame

#endif

#if defined(__linux__) && defined(__ELF__)
	.section .note.GNU-stack,"",%progbits
#endif
