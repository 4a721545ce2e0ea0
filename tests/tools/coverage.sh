#!/bin/bash
# coverage.sh: how much of dispatch/coro its units and the conformance cases run, by gcc and gcovr, in a build of its own without
# optimisation. Left out: lines with a CHECK(), whose other side ends the process; files of other machines and ucontext, which this build
# does not compile; assembler, which is not counted. Prints lines and branches by file and in all; fails below LINES_WANTED (95) or BRANCHES_WANTED (85)
# percent. Environment: B (the build's folder), PYTHON.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build/coverage} PYTHON=${PYTHON:-/usr/bin/python3}
LINES_WANTED=${LINES_WANTED:-95} BRANCHES_WANTED=${BRANCHES_WANTED:-85}
for tool in gcc gcovr; do
	command -v $tool >/dev/null || { echo "coverage: skipped: no $tool (Debian: apt-get install $tool)"; exit 77; }
done

# What is counted is built anew: gcovr takes all that it finds, and what is left of older sources contradicts it.
rm -rf "$B/tests" "$B/dispatch/coro" "$B/libsmstrack.a"
mkdir -p "$B"
gcc -O1 -Wall -Wextra -D_GNU_SOURCE -c -o "$B/coverage_dump.o" tests/tools/coverage_dump.c || exit 1
programs=()
for source in tests/unit/test_coro_*.c tests/conformance/test_*.c; do
	programs+=("$B/${source%.c}")
done
timeout 900 make --no-print-directory -s -j2 CC=gcc B="$B" OPT="-O0 -g" CFLAGS="--coverage -fprofile-update=atomic" \
	LDFLAGS="--coverage $B/coverage_dump.o" "${programs[@]}" >"$B/build.log" 2>&1 || { tail -20 "$B/build.log"; exit 1; }
bad=0
for program in "${programs[@]}"; do
	timeout 300 "$program" >"$program.log" 2>&1 || { echo "coverage: $program failed"; tail -20 "$program.log"; bad=1; }
done

count() {
	gcovr -r . -f 'dispatch/coro/' --exclude-lines-by-pattern '.*\bCHECK\(.*' "$@" "$B/dispatch/coro" "$B/tests" >"$B/gcovr.log" 2>&1 ||
		{ tail -20 "$B/gcovr.log"; exit 1; }
}
count --json-summary "$B/coverage.json"
count --txt "$B/lines.txt"
count --branches --txt "$B/branches.txt"
"$PYTHON" - "$B/coverage.json" "$LINES_WANTED" "$BRANCHES_WANTED" <<'END' || bad=1
import json, sys
summary = json.load(open(sys.argv[1]))
wanted = {"line": float(sys.argv[2]), "branch": float(sys.argv[3])}
def cell(of, kind):
    got, total = of[kind + "_covered"], of[kind + "_total"]
    return f"{got:6}/{total:<6}" + (f"{100 * got / total:6.1f} %" if total else "       -")
print(f"{'':38}{'lines':^21}  {'branches':^21}")
for f in sorted(summary["files"], key=lambda f: f["filename"]):
    print(f"{f['filename']:38}{cell(f, 'line')}  {cell(f, 'branch')}")
print(f"{'in all':38}{cell(summary, 'line')}  {cell(summary, 'branch')}")
short = [k for k, w in wanted.items() if 100 * summary[k + "_covered"] < w * summary[k + "_total"]]
print("coverage: " + (f"too little ({', '.join(short)})" if short else "enough") + f", wanted {wanted['line']:g} % of lines, {wanted['branch']:g} % of branches")
sys.exit(bool(short))
END
echo "what is missing: $B/lines.txt, $B/branches.txt"
exit $bad
