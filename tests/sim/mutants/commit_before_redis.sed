# metrics/store.c
# An outcome counts as written once it is on its way: the offset may be committed before Redis has it.
s/^\t\tcall->rc = rc;$/&\n\tif (outcome->step == STORE_SETTLE) {\n\t\tcall->abandoned = true;\n\t\treturn 0;\n\t}/
