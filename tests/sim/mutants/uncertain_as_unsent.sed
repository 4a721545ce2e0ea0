# dispatch/retry.c
# A send whose answer was lost is sent again without a word about it.
s/\.next = RETRY_ASK_POLICY \};/.next = RETRY_LATER };/
