#!/bin/bash
# check.sh: every test, counted. `make check` and `make proof` call it. Environment: B (build folder), PYTHON, SMSTRACK_PROOF=1 (in
# full), SMSTRACK_ONLY="unit traces fuzz sim e2e aarch64 sanitizers" (some stages; the last two in full only). Its last line is
# `N passed, N failed, N skipped`; what can't run says why.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build} PYTHON=${PYTHON:-/usr/bin/python3} PROOF=${SMSTRACK_PROOF:-}
export B PYTHON
passed=0 failed=0 skipped=0 began=$SECONDS
failures=()
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

note() { printf '%s\n' "$*"; }
stage() { note "== $* ($((SECONDS - began)) s)"; }
pass() { passed=$((passed + ${1:-1})); }
fail() { failed=$((failed + 1)); failures+=("$*"); note "FAILED: $*"; }
skip() { skipped=$((skipped + 1)); note "skipped: $*"; }
wanted() { [[ -z ${SMSTRACK_ONLY:-} || " $SMSTRACK_ONLY " == *" $1 "* ]]; }
is_program() { [[ -f $1 && -x $1 ]]; }

# One cmocka program: its tests are counted from its own lines; those that a crash swallowed have failed. $2...: a wrapper
run_cmocka() {
	local program=$1 log total ok skips
	log=$tmp/$(basename "$program").log
	shift
	timeout 300 "$@" "$program" >"$log" 2>&1
	local code=$?
	total=$(sed -n 's/^\[==========\] \(.*: \)\{0,1\}Running \([0-9]*\) test.*/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
	ok=$(grep -c '^\[       OK \]' "$log")
	skips=$(grep '^\[  SKIPPED \] test_' "$log" | sort -u | wc -l)
	pass "$ok"
	skipped=$((skipped + skips))
	if ((code != 0 || ok + skips != total || total == 0)); then
		grep -E '^\[  FAILED  \] test_' "$log" | sort -u | head -20
		tail -30 "$log"
		fail "$program ($ok of $total passed, exit $code)"
		((total - ok - skips > 1)) && failed=$((failed + total - ok - skips - 1))
	fi
}

units() {
	local n=0
	stage "unit tests${*:+ under $1} in $B"
	for program in "$B"/tests/unit/test_* "$B"/tests/conformance/test_*; do
		is_program "$program" || continue
		run_cmocka "$program" "$@"
		n=$((n + 1))
	done
	((n > 0)) || fail "there are no unit tests in $B/tests"
	note "$n programs"
}

# The runtime's examples: each prints what lies beside its source.
examples() {
	local source name
	stage "examples"
	for source in tests/examples/*.c; do
		name=$(basename "$source" .c)
		if timeout 60 "$B/tests/examples/$name" 2>&1 | diff - "${source%.c}.out" >"$tmp/example.log"; then
			pass
		else
			cat "$tmp/example.log"
			fail "example $name prints something else"
		fi
	done
}

# The runtime's event traces against CPython's asyncio: its last line is counted like ours.
traces() {
	local log=$tmp/traces.log p f s
	stage "event traces"
	timeout 900 tests/conformance/run.sh traces >"$log" 2>&1
	cat "$log"
	if ! read -r p f s < <(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log"); then
		fail "event traces: no result"
		return
	fi
	passed=$((passed + p)) skipped=$((skipped + s))
	((f == 0)) || fail "event traces"
}

# The runtime on the other architecture, in an emulator; it counts by itself, and says what is missing.
aarch64() {
	local log=$tmp/aarch64.log p f s
	stage "the runtime on aarch64"
	timeout 1800 tests/tools/aarch64.sh >"$log" 2>&1
	cat "$log"
	if ! read -r p f s < <(sed -n '$s/^aarch64: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log"); then
		fail "aarch64: no result"
		return
	fi
	passed=$((passed + p)) skipped=$((skipped + s))
	if ((f > 0)); then
		fail "aarch64: $f programs"
		failed=$((failed + f - 1))
	fi
}

# The parsers, fed by libFuzzer for a short while; its corpus stays as it is.
fuzz() {
	local source name seconds=${1:-10} corpus
	stage "fuzzing, $seconds s each"
	if ! command -v clang >/dev/null; then
		skip "fuzzing: no clang"
		return
	fi
	if ! make --no-print-directory -s -j2 B=build/fuzz CC=clang SAN=fuzzer-no-link,address,undefined build/fuzz/libsmstrack.a \
		>"$tmp/fuzz.log" 2>&1; then
		tail -20 "$tmp/fuzz.log"
		fail "the fuzzers' library does not build"
		return
	fi
	for source in tests/fuzz/fuzz_*.c; do
		[[ -f $source ]] || continue
		name=$(basename "$source" .c)
		if ! clang -g -O1 -std=gnu11 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -o "build/fuzz/$name" \
			"$source" build/fuzz/libsmstrack.a $(pkg-config --libs rdkafka libevent_core libevent_extra libevent_pthreads libevent_openssl \
			hiredis jansson openssl) -pthread -lm >"$tmp/fuzz.log" 2>&1; then
			tail -20 "$tmp/fuzz.log"
			fail "$name does not build"
			continue
		fi
		corpus=tests/fuzz/corpus_${name#fuzz_}
		mkdir -p "$tmp/$name"
		if timeout $((seconds + 60)) "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0 \
			-artifact_prefix="build/fuzz/" "$tmp/$name" $([[ -d $corpus ]] && echo "$corpus") >"$tmp/fuzz.log" 2>&1; then
			pass
		else
			tail -30 "$tmp/fuzz.log"
			fail "$name found something (build/fuzz/)"
		fi
	done
}

# The simulator counts its own seeds and planted bugs; they are added here.
simulate() {
	local how=--smoke code p f s
	stage "simulation"
	[[ -n $PROOF ]] && how=--proof
	if ! grep -qs '^sim-check:' tests/sim/sim.mk Makefile; then
		skip "simulation: nothing to run in tests/sim"
		return
	fi
	timeout 1800 make --no-print-directory -s sim-check SIM_MODE=$how >"$tmp/sim.log" 2>&1
	code=$?
	grep -vE '^  (CC|LD|AR|AS|GEN) |^[0-9]+ passed, ' "$tmp/sim.log" | tail -40
	read -r p f s < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$tmp/sim.log" | tail -1)
	passed=$((passed + ${p:-0})) skipped=$((skipped + ${s:-0}))
	if ((code != 0 || ${f:-1} > 0)); then
		fail "simulation: ${f:-?} failed, exit $code"
		((${f:-0} > 1)) && failed=$((failed + f - 1))
	fi
}

# $1: a marker expression or nothing
e2e() {
	local xml=$tmp/e2e.xml counts
	stage "end to end${1:+ ($1)} in $B"
	if ! "$PYTHON" -c 'import pytest, confluent_kafka, redis' 2>/dev/null; then
		skip "end to end: $PYTHON lacks pytest, confluent_kafka or redis"
		return
	fi
	timeout "${SMSTRACK_E2E_TIMEOUT:-5400}" "$PYTHON" -B -m pytest -p no:cacheprovider -q -rs --durations=8 --junitxml="$xml" ${1:+-m "$1"} \
		tests/e2e
	local code=$?
	if [[ ! -s $xml ]]; then
		fail "end to end: pytest ended with $code"
		return
	fi
	counts=$("$PYTHON" - "$xml" <<-'END'
	import sys, xml.etree.ElementTree as tree
	s = tree.parse(sys.argv[1]).getroot().find("testsuite")
	n, bad, gone = int(s.get("tests")), int(s.get("failures")) + int(s.get("errors")), int(s.get("skipped"))
	bad = min(bad, n - gone)
	print(n - bad - gone, bad, gone)
	END
	)
	read -r p f s <<<"$counts"
	passed=$((passed + p)) skipped=$((skipped + s))
	if ((f > 0 || (code != 0 && code != 5))); then
		fail "end to end: $f of $((p + f))"
		((f > 1)) && failed=$((failed + f - 1))
	fi
}

# Units and a short e2e under a sanitizer, built beside the rest.
sanitized() {
	local san=$1 old=$B
	stage "SAN=$san"
	if ! make --no-print-directory -s -j2 SAN="$san" all tests tools >"$tmp/san.log" 2>&1; then
		tail -30 "$tmp/san.log"
		fail "SAN=$san does not build"
		return
	fi
	B=build/san-${san//,/-}
	export ASAN_OPTIONS=detect_stack_use_after_return=0:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
	[[ -f tests/tools/tsan.supp ]] && export TSAN_OPTIONS=suppressions=$PWD/tests/tools/tsan.supp:second_deadlock_stack=1
	[[ -f tests/tools/lsan.supp ]] && export LSAN_OPTIONS=suppressions=$PWD/tests/tools/lsan.supp
	units
	examples
	SMSTRACK_PROOF='' SMSTRACK_SLOW=5 e2e short
	B=$old
}

if [[ $B == *san-* ]]; then
	export SMSTRACK_SLOW=${SMSTRACK_SLOW:-5}
	[[ -f tests/tools/tsan.supp ]] && export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tools/tsan.supp}
	wanted unit && units
	wanted e2e && e2e short
else
	wanted unit && units
	wanted unit && examples
	wanted traces && traces
	wanted fuzz && fuzz "$([[ -n $PROOF ]] && echo 60 || echo 8)"
	wanted sim && simulate
	wanted e2e && e2e
	[[ -n $PROOF ]] && wanted aarch64 && aarch64
fi
if [[ -n $PROOF && $B != *san-* ]] && wanted sanitizers; then
	sanitized address,undefined
	sanitized thread
	if command -v valgrind >/dev/null; then
		units valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
	else
		skip "valgrind: not here"
	fi
fi

stage "done"
for f in "${failures[@]}"; do note "  failed: $f"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
