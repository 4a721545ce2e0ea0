# The runtime against CPython's asyncio (tests/conformance/README.md). Included by the Makefile; uses its B, CC, PYTHON, flags, LIB, `obj`.
# Both stand on simulated time: trace_port.c is in the place of the runtime's own ports.
SIMULATED := $(filter-out $(call obj,dispatch/coro/poll_libevent.c dispatch/coro/offload_threads.c daemon/base/clock.c), \
	$(call obj,$(CORO_SRC) $(BASE_SRC))) $(B)/tests/conformance/trace_port.o
TRACE_OBJ := $(sort $(call obj,$(wildcard tests/conformance/trace*.c)) $(SIMULATED))
TRACE_BIN := $(B)/tests/conformance/trace
$(TRACE_BIN): $(TRACE_OBJ)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -pthread
$(B)/tests/conformance/test_%: $(B)/tests/conformance/test_%.o $(SIMULATED)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -pthread -lcmocka
CONFORMANCE_BINS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/conformance/test_*.c))

.PHONY: conformance conformance-tools traces
conformance-tools: $(CONFORMANCE_BINS) $(TRACE_BIN)
tests: $(TRACE_BIN)
conformance: conformance-tools ## the runtime against asyncio, case by case and by event trace
	@B=$(B) PYTHON=$(PYTHON) tests/conformance/run.sh
N ?= 2000
SEED ?= 1
traces: $(TRACE_BIN) ## random programs on CPython 3.13 (python3.13 must be there) and on the runtime: N=, SEED=
	@$(PYTHON) -B tests/conformance/trace_run.py live --trace $(TRACE_BIN) --seed $(SEED) --n $(N)
