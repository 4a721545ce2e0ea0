#!/bin/bash
# run.sh [cases] [traces]: the runtime against asyncio (both, without arguments). Environment: B (build folder), PYTHON. The programs must
# be built (`make conformance` does). Its last line is `N passed, N failed, N skipped`; a set of traces counts as one test.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build} PYTHON=${PYTHON:-/usr/bin/python3}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cases() {
	local program total ok
	for program in "$B"/tests/conformance/test_*; do
		[[ -f $program && -x $program ]] || continue
		timeout 300 "$program" >"$log" 2>&1
		total=$(sed -n 's/^\[==========\] \(.*: \)\{0,1\}Running \([0-9]*\) test.*/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
		ok=$(grep -c '^\[       OK \]' "$log")
		echo "$(basename "$program"): $ok of $total"
		passed=$((passed + ok))
		failed=$((failed + total - ok))
		((ok < total)) && tail -40 "$log"
		((total > 0)) || { echo "$program ran nothing"; failed=$((failed + 1)); }
	done
}

traces() {
	local what
	for what in check "live --n 200 --seed ${SEED:-$((RANDOM * 1000 + 1))}"; do
		timeout 900 "$PYTHON" -B tests/conformance/trace_run.py $what --trace "$B/tests/conformance/trace"
		case $? in
		0) passed=$((passed + 1)) ;;
		77) skipped=$((skipped + 1)) ;;
		*) failed=$((failed + 1)) ;;
		esac
	done
}

for part in ${*:-cases traces}; do
	$part
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
