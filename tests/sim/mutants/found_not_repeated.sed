# metrics/store_flush.c
# A redelivery that finds its message settled leaves it to the one who wrote that, who may be dead when Redis loses it.
s/^\t\t\trepeat_outcome(s, b, i, call, d);$/\t\t\tif (call->rc > 0)\n\t&/
