#!/bin/bash
# lint.sh: what `make lint` runs: the house rules, the files that are generated from the option table, cppcheck, clang-tidy, Python.
# Every finding fails; a tool that is missing is said aloud. Environment: B, PYTHON.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build} PYTHON=${PYTHON:-/usr/bin/python3}
bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

step() { printf '== %s\n' "$*"; }
no() { printf 'lint: %s\n' "$*"; bad=1; }

step "layers, libraries, sizes"
"$PYTHON" -B tests/tools/includes.py --compile || bad=1

# $1: the file in the tree, then the command that prints it
same_as() {
	local file=$1
	shift
	if ! "$@" >"$tmp/generated" 2>"$tmp/err"; then
		no "$*: $(head -1 "$tmp/err")"
	elif ! diff -u "$file" "$tmp/generated" >"$tmp/diff"; then
		head -20 "$tmp/diff"
		no "$file is not what the option table says: $* >$file"
	fi
}

step "generated files"
if [[ -x $B/smstrackd ]]; then
	same_as etc/smstrackd.conf "$B/smstrackd" --print-sample
	same_as etc/man/smstrackd.conf.5 "$B/smstrackd" --print-man
else
	no "$B/smstrackd is not built"
fi

step "Python"
"$PYTHON" -B - <<'END' || bad=1
import ast, subprocess, sys
for path in subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True).stdout.split():
    ast.parse(open(path).read(), path)
END

flags=(-std=gnu11 -D_GNU_SOURCE -I. "-I$B/gen" '-DVERSION="lint"' $(pkg-config --cflags rdkafka libevent hiredis jansson openssl))
mapfile -t product < <(git ls-files '*.c' | grep -E '^(daemon|consumer|dispatch|metrics)/')

step "cppcheck"
if command -v cppcheck >/dev/null; then
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
		--suppress=unusedStructMember --suppress=normalCheckLevelMaxBranches --suppress=checkersReport -D_GNU_SOURCE -I. -j2 \
		"${product[@]}" || no "cppcheck"
else
	echo "lint: skipped: no cppcheck"
fi

step "clang-tidy"
if command -v clang-tidy >/dev/null; then
	printf '%s\n' "${product[@]}" | xargs -P2 -n4 sh -c 'clang-tidy --quiet "$@" -- '"$(printf '%q ' "${flags[@]}")"' 2>/dev/null' sh >"$tmp/tidy" ||
		{ cat "$tmp/tidy"; no "clang-tidy"; }
else
	echo "lint: skipped: no clang-tidy"
fi

((bad == 0)) && echo "lint: clean"
exit $bad
