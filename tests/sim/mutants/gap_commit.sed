# consumer/offsets.c
# Whatever is done may be committed, and with it what lies open before it.
s/^\t\to->committable = offset_of(slot_of(o, o->prefix)) + 1;$/&\n\tif (offset_of(slot) >= o->committable)\n\t\to->committable = offset_of(slot) + 1;/
