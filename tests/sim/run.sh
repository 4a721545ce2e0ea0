#!/bin/bash
# run.sh [--smoke | --proof]: seeds that must pass, each twice with the same trace hash, and planted bugs that must be found by them.
# Environment: B (build folder). Its last line is `N passed, N failed, 0 skipped`.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build}
case ${1:---smoke} in
--smoke) seeds=1-200 ;;
--proof) seeds=1-500 ;;
*) echo "usage: $0 [--smoke | --proof]" >&2; exit 64 ;;
esac
passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

"$B/tests/sim/sim" --seeds "$seeds" | tee "$out"
read -r p f <<<"$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, .*/\1 \2/p' "$out" | tail -1)"
passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))

for patch in tests/sim/mutants/*.sed; do
	name=$(basename "$patch" .sed)
	if "$B/tests/sim/mutants/$name" --seeds 1-500 --once --until-found >"$out"; then
		echo "planted bug $name: $(grep '^found by' "$out"): $(sed -n 's/^seed [0-9]* failed: //p' "$out" | head -1)"
		passed=$((passed + 1))
	else
		echo "planted bug $name: not found within 500 seeds"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
