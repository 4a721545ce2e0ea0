#!/bin/bash
# aarch64.sh: the runtime's unit tests on aarch64, by Debian's cross compiler and qemu-user; libevent and cmocka for that machine are
# unpacked beside the build, nothing is installed. Prints `aarch64: N passed, N failed, N skipped`; what is missing is said, and is no error.
set -u
cd "$(dirname "$0")/../.."
out=${B:-build}/aarch64 root=${B:-build}/aarch64/root
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
	local apt=(apt-get -qq -o APT::Architectures::=arm64 -o Dir::State::lists="$PWD/$out/apt/lists"
		-o Dir::Cache="$PWD/$out/apt/cache" -o APT::Sandbox::User=root)
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
rm -f "$out/lib.a"
aarch64-linux-gnu-ar rcs "$out/lib.a" "${objects[@]}"
passed=0 failed=0 skipped=0
for source in tests/unit/test_coro_*.c; do
	name=$(basename "$source" .c)
	$cc "${flags[@]}" -o "$out/$name" "$source" "$out/lib.a" -L"$libs" -levent_core -lcmocka -pthread -lm -ldl || exit 1
	CMOCKA_MESSAGE_OUTPUT=stdout timeout 100 qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$libs",TEST_EMULATED=1 "$out/$name" >"$out/$name.log" 2>&1
	code=$?
	ok=$(grep -c '^\[       OK \]' "$out/$name.log")
	skips=$(grep '^\[  SKIPPED \] test_' "$out/$name.log" | sort -u | wc -l)
	passed=$((passed + ok)) skipped=$((skipped + skips))
	((code == 0)) && continue
	failed=$((failed + 1))
	echo "FAILED: $name on aarch64 (exit $code)"
	grep -v '^\[ RUN\|^\[       OK' "$out/$name.log" | tail -20
done
echo "aarch64: $passed passed, $failed failed, $skipped skipped"
((failed == 0))
