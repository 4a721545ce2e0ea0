#!/bin/bash
# aarch64.sh: the runtime's unit tests and conformance cases on aarch64, by Debian's cross compiler and qemu-user; libevent and cmocka for that machine are
# unpacked beside the build, nothing is installed. Prints `aarch64: N passed, N failed, N skipped`; what is missing is said, and is no error.
set -u
cd "$(dirname "$0")/../.."
out=$(realpath -m "${B:-build}/aarch64")
root=$out/root
cc=aarch64-linux-gnu-gcc

missing() {
	echo "skipped: aarch64: $*"
	echo "aarch64: 0 passed, 0 failed, 1 skipped"
	exit 0
}
command -v $cc >/dev/null || missing "no $cc (Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross)"
command -v qemu-aarch64 >/dev/null || missing "no qemu-aarch64 (Debian: apt-get install qemu-user)"
mkdir -p "$root" "$out/apt/lists/partial" "$out/apt/cache/archives/partial"

# The packages of the other machine, by apt's own means but with lists of its own.
fetch() {
	local apt=(apt-get -qq -o APT::Architectures::=arm64 -o Dir::State::lists="$out/apt/lists"
		-o Dir::Cache="$out/apt/cache" -o APT::Sandbox::User=root)
	timeout 100 "${apt[@]}" update && cd "$out/apt" &&
		timeout 60 "${apt[@]}" download libevent-core-2.1-7:arm64 libevent-dev:arm64 libcmocka0:arm64 libcmocka-dev:arm64 ||
		timeout 60 "${apt[@]}" download libevent-core-2.1-7t64:arm64 libevent-dev:arm64 libcmocka0:arm64 libcmocka-dev:arm64
}
libs=$root/usr/lib/aarch64-linux-gnu
if [[ ! -e $libs/libevent_core.so || ! -e $libs/libcmocka.so ]]; then
	(fetch) >"$out/apt.log" 2>&1 || missing "libevent and cmocka for arm64 can't be had ($(tail -1 "$out/apt.log"))"
	for deb in "$out"/apt/*.deb; do dpkg -x "$deb" "$root" || missing "can't unpack $deb"; done
fi

flags=(-std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-format-truncation -fno-omit-frame-pointer -fno-strict-aliasing -D_GNU_SOURCE -I.
	-isystem "$root/usr/include" -isystem "$root/usr/include/aarch64-linux-gnu")
objects=()
for source in daemon/base/*.c dispatch/coro/*.c dispatch/coro/*.S; do
	object=$out/$(tr / _ <<<"$source").o
	objects+=("$object")
	[[ $object -nt $source && -z $(find dispatch/coro daemon/base -name '*.h' -newer "$object") ]] && continue
	$cc "${flags[@]}" -c -o "$object" "$source" || exit 1
done
rm -f "$out/lib.a" "$out/simulated.a"
aarch64-linux-gnu-ar rcs "$out/lib.a" "${objects[@]}"
# Conformance cases run on simulated time: a port of theirs is in the place of the runtime's own.
$cc "${flags[@]}" -c -o "$out/trace_port.o" tests/conformance/trace_port.c || exit 1
simulated=()
for object in "${objects[@]}"; do
	case $object in
	*_poll_libevent.c.o | *_offload_threads.c.o | *_clock.c.o) ;;
	*) simulated+=("$object") ;;
	esac
done
aarch64-linux-gnu-ar rcs "$out/simulated.a" "${simulated[@]}" "$out/trace_port.o"

passed=0 failed=0 skipped=0
# $1: the source, then what it is linked with
run_tests() {
	local source=$1 name log code total ok skips
	name=$(basename "$source" .c)
	log=$out/$name.log
	shift
	$cc "${flags[@]}" -rdynamic -o "$out/$name" "$source" "$@" -lcmocka -pthread -lm -ldl || exit 1
	CMOCKA_MESSAGE_OUTPUT=stdout timeout 200 qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$libs",TEST_EMULATED=1 "$out/$name" >"$log" 2>&1
	code=$?
	total=$(sed -n 's/^\[==========\] \(.*: \)\{0,1\}Running \([0-9]*\) test.*/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
	ok=$(grep -c '^\[       OK \]' "$log")
	skips=$(grep '^\[  SKIPPED \] test_' "$log" | sort -u)
	[[ -n $skips ]] && sed 's/^\[  SKIPPED \] /skipped: aarch64: /' <<<"$skips"
	skips=$(grep -c . <<<"$skips")
	passed=$((passed + ok)) skipped=$((skipped + skips))
	((code == 0 && total > 0 && ok + skips == total)) && return
	failed=$((failed + 1))
	echo "FAILED: $name on aarch64 ($ok of $total passed, exit $code)"
	grep -v '^\[ RUN\|^\[       OK' "$log" | tail -20
}

for source in tests/unit/test_coro_*.c; do
	run_tests "$source" "$out/lib.a" -L"$libs" -levent_core
done
for source in tests/conformance/test_*.c; do
	run_tests "$source" "$out/simulated.a" -L"$libs"
done
echo "aarch64: $passed passed, $failed failed, $skipped skipped"
((failed == 0))
