# The simulation (tests/sim/README.md). Included by the Makefile; uses its B, CC, flags, LIB and `obj`.
# The ports' objects come before the library: whatever the simulation defines, the library's own file isn't taken.
SIM_SRC := $(wildcard tests/sim/*.c)
SIM_OBJ := $(call obj,$(SIM_SRC))
SIM_CFLAGS := $(shell pkg-config --cflags lua5.1 2>/dev/null)
SIM_LIBS := $(shell pkg-config --libs lua5.1 2>/dev/null)
SIM_BIN := $(B)/tests/sim/sim

$(SIM_OBJ): CPPFLAGS_ALL += $(SIM_CFLAGS)
$(SIM_BIN): $(SIM_OBJ) $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) $(SIM_LIBS)

# Planted bugs: each tests/sim/mutants/X.sed names in its first line the one file that it breaks; a patch that changes nothing is an error.
SIM_MUTANTS := $(patsubst %.sed,$(B)/%,$(wildcard tests/sim/mutants/*.sed))
sim_broken = $(shell sed -n '1s/^\# //p' tests/sim/mutants/$(1).sed)
define sim_mutant
$(B)/tests/sim/mutants/$(1).c: tests/sim/mutants/$(1).sed $(call sim_broken,$(1))
	@mkdir -p $$(@D)
	@sed -f $$< $(call sim_broken,$(1)) >$$@.tmp
	@! cmp -s $$@.tmp $(call sim_broken,$(1)) || { echo "$$<: changes nothing in $(call sim_broken,$(1))" >&2; rm -f $$@.tmp; exit 1; }
	@mv $$@.tmp $$@
$(B)/tests/sim/mutants/$(1).o: $(B)/tests/sim/mutants/$(1).c
	$$(call run,CC,$$@)$$(CC) $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) -c -o $$@ $$<
$(B)/tests/sim/mutants/$(1): $(B)/tests/sim/mutants/$(1).o $(SIM_OBJ) $(LIB)
	$$(call run,LD,$$@)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LDLIBS_ALL) $$(SIM_LIBS)
endef
$(foreach m,$(notdir $(SIM_MUTANTS)),$(eval $(call sim_mutant,$(m))))

.PHONY: sim
sim: $(SIM_BIN) $(SIM_MUTANTS) ## the simulation and its planted bugs, without running them

.PHONY: sim-check
SIM_MODE ?= --smoke
sim-check: sim
	@B=$(B) tests/sim/run.sh $(SIM_MODE)
