# dispatch/tracker.c
# A cancel of the send reaches its acknowledgement.
s/co_shield(ack)/co_ref(ack)/
