/* scripts_embed.S: the Lua sources inside the binary, as NUL-terminated strings (metrics/scripts.h). Paths are from the root. */
#define TEXT(name, first, second) \
	.section .rodata; .balign 16; .globl name; .type name, @object; name: first second .byte 0; .size name, . - name

TEXT(scripts_claim_text, .incbin "metrics/scripts/common.lua";, .incbin "metrics/scripts/claim.lua";)
TEXT(scripts_outcome_text, .incbin "metrics/scripts/common.lua";, .incbin "metrics/scripts/outcome.lua";)
TEXT(scripts_map_text, .incbin "metrics/scripts/map.lua";, )

	.section .note.GNU-stack, "", %progbits
