#!/bin/bash
# bare_debian.sh [SUITE]: the README's two commands on a Debian (12 by default) that has nothing but make and git. As root, with
# debootstrap. Takes this tree's HEAD as a fresh clone; leaves nothing behind. Environment: COMMANDS ("make demo;make check"),
# MIRROR (debootstrap's own by default), KEEP=1.
#
# How this machine reaches its package sources is passed on as it is: resolver, hosts, apt's configuration, local CAs, maven's settings.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
if [[ $(id -u) != 0 ]]; then
	echo "bare_debian: root is needed, for chroot and mount" >&2
	exit 77
fi
if ! command -v debootstrap >/dev/null; then
	echo "bare_debian: apt-get install debootstrap" >&2
	exit 77
fi
if [[ -z ${BARE_DEBIAN_INSIDE:-} ]]; then
	exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private env BARE_DEBIAN_INSIDE=1 tests/tools/bare_debian.sh "$@"
fi
suite=${1:-bookworm}
root=$(mktemp -d "${TMPDIR:-/tmp}/bare-debian.XXXXXX")
began=$SECONDS

say() { echo "bare_debian: $* ($((SECONDS - began)) s)"; }

# Mounts and processes are of this script's own namespaces: they go with it.
cleanup() {
	for m in dev/shm dev/pts dev sys proc; do
		mountpoint -q "$root/$m" && umount -l "$root/$m"
	done
	if [[ -n ${KEEP:-} ]]; then
		say "kept in $root"
	elif ! grep -q " $root/" /proc/mounts; then
		rm -rf --one-file-system "$root"
	fi
}

trap cleanup EXIT
trap 'exit 130' INT TERM

chmod 755 "$root"
say "debootstrap $suite"
debootstrap --variant=minbase --include=make,git "$suite" "$root" ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 || { tail -20 "$root.log"; exit 1; }
rm -f "$root.log"

for f in /etc/resolv.conf /etc/hosts; do
	[[ -e $f ]] && cp -L "$f" "$root$f"
done
for f in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
	grep -qsiE 'proxy|verify|cainfo|retries' "$f" && cp "$f" "$root/etc/apt/apt.conf.d/"
done
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
	mkdir -p "$root/usr/local/share/ca-certificates"
	cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
fi
if [[ -e ${HOME:-/root}/.m2/settings.xml ]]; then
	mkdir -p "$root/root/.m2"
	cp "${HOME:-/root}/.m2/settings.xml" "$root/root/.m2/"
fi
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" 2>/dev/null || mount --bind /sys "$root/sys"
mount --bind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" 2>/dev/null || true
mountpoint -q "$root/dev/shm" || mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null || true

git clone -q --no-hardlinks . "$root/root/smstrackd"
proxies=()
for v in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
	[[ -n ${!v:-} ]] && proxies+=("$v=${!v}")
done
code=0
while IFS= read -r -d ';' command; do
	say "$command"
	chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		"${proxies[@]}" /bin/sh -c "cd /root/smstrackd && $command" </dev/null || code=$?
	if ((code != 0)); then
		say "'$command' ended with $code"
		exit "$code"
	fi
done <<<"${COMMANDS:-make demo;make check};"
say "all pass"
