# smstrackd. `make help` lists what there is to make.
.DEFAULT_GOAL := all
SHELL := /bin/bash

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
PYTHON ?= /usr/bin/python3
comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(DEBUG),/debug)$(if $(UCONTEXT),/ucontext)

# ---- dependencies, each with the Debian package that brings it ----
DEPS := rdkafka:librdkafka-dev libevent:libevent-dev libevent_pthreads:libevent-dev libevent_openssl:libevent-dev \
	hiredis:libhiredis-dev jansson:libjansson-dev openssl:libssl-dev
define need
$(if $(shell pkg-config --exists $(firstword $(subst :, ,$(1))) 2>/dev/null && echo y),,$(warning missing library: \
	$(firstword $(subst :, ,$(1))) (Debian: apt-get install $(lastword $(subst :, ,$(1))))) missing)
endef
NODEPS := help deps clean format demo check lint proof bench coverage
ifneq ($(filter-out $(NODEPS),$(or $(MAKECMDGOALS),all)),)
ifneq ($(strip $(foreach d,$(DEPS),$(call need,$(d)))),)
$(error install what is missing, or run `etc/deps.sh build`)
endif
endif
LIBS := rdkafka libevent_core libevent_extra libevent_pthreads libevent_openssl hiredis jansson openssl
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null)

# ---- flags ----
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Werror
ifdef DEBUG
OPT := -O0 -g3
else ifdef SAN
OPT := -O1 -g
else
OPT := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
LDHARD := -Wl,-z,relro,-z,now -Wl,-z,noexecstack
endif
ifneq ($(findstring thread,$(SAN)),)
SAN_OBJ := $(B)/tests/tools/c11_threads.o
endif
ifdef SAN
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
endif
ifdef UCONTEXT
# The assembler's file must know as well.
DEFS := -DCO_UCONTEXT
endif
CPPFLAGS_ALL := -I. -I$(B)/gen -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(PKG_CFLAGS) $(DEFS) $(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 $(OPT) $(WARN) -fno-omit-frame-pointer -fno-strict-aliasing -fPIE $(SANFLAGS) -MMD -MP $(CFLAGS)
# names in a task dump's stacks come from the dynamic symbol table
LDFLAGS_ALL := -pie -rdynamic $(LDHARD) $(SANFLAGS) $(LDFLAGS)
LDLIBS_ALL := $(PKG_LIBS) -pthread -lm

UNDER := $(if $(VALGRIND),valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite)
# V=1 shows the commands
run = $(if $(V),,@printf '  %-3s %s\n' $(1) $(2); )

# ---- the parts: every .c of a folder belongs to it ----
src = $(wildcard $(addsuffix /*.c,$(1)) $(addsuffix /*.S,$(1)))
obj = $(patsubst %,$(B)/%.o,$(basename $(1)))
BASE_SRC := $(call src,daemon/base)
CORO_SRC := $(call src,dispatch/coro)
LIB_SRC := $(BASE_SRC) $(CORO_SRC) $(call src,metrics dispatch consumer)
DAEMON_SRC := $(filter-out daemon/main.c,$(call src,daemon daemon/admin))
CTL_SRC := $(call src,daemon/ctl)
LIB := $(B)/libsmstrack.a
all: $(B)/smstrackd $(B)/smstrack

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call run,CC,$@)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<
$(B)/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(call run,AS,$@)$(CC) $(CPPFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/metrics/scripts_embed.o: $(wildcard metrics/scripts/*.lua)
$(LIB): $(call obj,$(LIB_SRC))
	@rm -f $@
	$(call run,AR,$@)ar rcs $@ $^
$(B)/smstrackd: $(call obj,daemon/main.c $(DAEMON_SRC)) $(SAN_OBJ) $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)
$(B)/smstrack: $(SAN_OBJ) $(call obj,$(CTL_SRC) $(wildcard daemon/config*.c daemon/ini*.c daemon/options*.c)) $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

# ---- tests: each tests/unit/test_X.c is a program of its own ----
TEST_BINS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c tests/conformance/test_*.c))
TEST_LIB_OBJ := $(call obj,$(DAEMON_SRC) $(filter-out daemon/ctl/main.c,$(CTL_SRC)))
$(B)/libtest.a: $(TEST_LIB_OBJ)
	@rm -f $@
	$(call run,AR,$@)ar rcs $@ $^
$(B)/tests/%: $(B)/tests/%.o $(B)/libtest.a $(SAN_OBJ) $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -lcmocka
# ---- the runtime alone, and its examples, which need no more ----
CORO_LIB := $(B)/libcoro.a
EXAMPLE_BINS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/examples/*.c))
$(CORO_LIB): $(call obj,$(CORO_SRC) $(BASE_SRC))
	@rm -f $@
	$(call run,AR,$@)ar rcs $@ $^
$(B)/tests/examples/%: $(B)/tests/examples/%.o $(SAN_OBJ) $(CORO_LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -levent_core -pthread
coro: $(CORO_LIB) $(EXAMPLE_BINS) ## the runtime alone: build/libcoro.a and its examples
$(B)/tests/tools/provider_sim: $(call obj,$(wildcard tests/tools/provider_*.c)) $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(LIB)
	$(call run,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)
.SECONDARY:
tests: $(TEST_BINS) $(EXAMPLE_BINS)

# ---- what people type ----
.PHONY: all coro help tests tools deps check proof bench demo lint coverage format install uninstall clean unit
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  SAN=address,undefined | SAN=thread, DEBUG=1, UCONTEXT=1, PREFIX=, DESTDIR= as usual"
deps: ## install what building and testing needs (Debian 12, 13)
	etc/deps.sh build
	etc/deps.sh test
unit: tests ## build and run the unit tests alone; with SAN= under a sanitizer, with VALGRIND=1 under valgrind
	@bad=0; for t in $(TEST_BINS); do \
		TSAN_OPTIONS="suppressions=tests/tools/tsan.supp halt_on_error=1" timeout 300 $(UNDER) $$t >$$t.log 2>&1 \
			&& echo "ok   $$t" || { echo "FAIL $$t"; tail -20 $$t.log; bad=1; }; done; exit $$bad
clean: ## remove build/
	rm -rf build
format: ## clang-format over the C sources
	clang-format -i $$(git ls-files '*.c' '*.h')

C_FILES = $(shell git ls-files '*.c' '*.h' 2>/dev/null)
PRODUCT_C = $(filter-out tests/%,$(filter %.c,$(C_FILES)))
demo: ## 10,000 messages through everything, on embedded parts
	@etc/deps.sh build
	@$(MAKE) --no-print-directory -j2 all
	@$(B)/smstrack demo
check: ## every test, on a real Kafka and a real Redis
	@etc/deps.sh build
	@etc/deps.sh test
	@$(MAKE) --no-print-directory -j2 all tests tools
	@B=$(B) PYTHON=$(PYTHON) tests/tools/check.sh
proof: ## the long form of what check runs small
	@etc/deps.sh build
	@etc/deps.sh proof
	@$(MAKE) --no-print-directory -j2 all tests tools
	@B=$(B) PYTHON=$(PYTHON) SMSTRACK_PROOF=1 tests/tools/check.sh
bench: ## cost against floors and rivals: BENCH=http_path|capacity|classic|runtime
	@etc/deps.sh build
	@etc/deps.sh test
	@$(MAKE) --no-print-directory -j2 all tools
	@B=$(B) $(PYTHON) tests/bench/bench.py $(BENCH)
tools: $(B)/tests/tools/provider_sim
lint: ## layers, sizes, generated files, cppcheck, clang-tidy
	@etc/deps.sh test
	@$(MAKE) --no-print-directory -j2 all
	@B=$(B) PYTHON=$(PYTHON) tests/tools/lint.sh
coverage: ## of the runtime by its units and conformance cases, lines and branches
	@etc/deps.sh test
	@B=$(B)/coverage PYTHON=$(PYTHON) tests/tools/coverage.sh

install: all ## to DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man{1,5,8}
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/doc/smstrackd
	install -m 755 $(B)/smstrackd $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(B)/smstrack $(DESTDIR)$(PREFIX)/bin/
	install -m 644 etc/man/smstrack.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 etc/man/smstrackd.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 etc/man/smstrackd.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 etc/completion/smstrack.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/smstrack
	install -m 644 README.md CHANGELOG.md LICENSE etc/smstrackd.conf etc/openapi.yaml $(DESTDIR)$(PREFIX)/share/doc/smstrackd/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|; s|/usr/bin/|$(PREFIX)/bin/|' etc/smstrackd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/smstrackd.service
uninstall: ## what install brought
	rm -f $(DESTDIR)$(PREFIX)/sbin/smstrackd $(DESTDIR)$(PREFIX)/bin/smstrack $(DESTDIR)$(PREFIX)/share/man/man1/smstrack.1
	rm -f $(DESTDIR)$(PREFIX)/share/man/man5/smstrackd.conf.5 $(DESTDIR)$(PREFIX)/share/man/man8/smstrackd.8
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/smstrack $(DESTDIR)$(PREFIX)/lib/systemd/system/smstrackd.service
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/smstrackd

-include tests/sim/sim.mk
-include tests/conformance/conformance.mk
-include $(shell find $(B) -name '*.d' 2>/dev/null)
