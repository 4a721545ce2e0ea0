# The simulation (tests/sim/README.md). Included by the Makefile; uses its B, CC, flags, LIB and `obj`.
# The ports' objects come before the library: whatever the simulation defines, the library's own file isn't taken.
SIM_SRC := $(wildcard tests/sim/*.c)
SIM_OBJ := $(call obj,$(SIM_SRC))
SIM_CFLAGS := $(shell pkg-config --cflags lua5.1 2>/dev/null)
SIM_LIBS := $(shell pkg-config --libs lua5.1 2>/dev/null)
SIM_BIN := $(B)/tests/sim/sim

$(SIM_OBJ): CPPFLAGS_ALL += $(SIM_CFLAGS)
$(SIM_BIN): $(SIM_OBJ) $(LIB)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) $(SIM_LIBS)
