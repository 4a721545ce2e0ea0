#!/bin/sh
# deps.sh build|test|proof: names what this machine lacks to build and demo, to test, or to test in full, and installs it.
#
# Debian 12 and 13, from nothing but make and git. Quick and offline where nothing is missing. `test` comes on top of `build`, and
# also puts Apache Kafka's jars in a cache; `proof`, on top of that, brings another architecture's compiler and emulator. Other systems:
# it prints what is needed and goes on, pkg-config and the tests tell the rest.
set -eu

KAFKA_VERSION=4.1.1
LOG4J_VERSION=2.25.1
kafka_dir=${SMSTRACK_KAFKA_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/smstrackd/kafka-$KAFKA_VERSION}

# A line each: the packages, any one of which will do; `!name` stands for a command that makes the line unnecessary.
build_packages() {
	cat <<-'END'
	gcc !cc
	libc6-dev
	make !make
	pkg-config pkgconf !pkg-config
	librdkafka-dev
	libevent-dev
	libhiredis-dev
	libjansson-dev
	libssl-dev
	redis-server !redis-server
	ca-certificates
	END
}

test_packages() {
	cat <<-'END'
	libcmocka-dev
	liblua5.1-0-dev
	libnghttp2-dev
	clang !clang
	libclang-rt-dev libclang-rt-14-dev libclang-rt-16-dev libclang-rt-19-dev
	clang-format !clang-format
	clang-tidy !clang-tidy
	cppcheck !cppcheck
	python3 !python3
	python3-pytest
	python3-confluent-kafka
	python3-redis
	default-jre-headless !java
	maven !mvn
	openssl !openssl
	valgrind !valgrind
	gcovr !gcovr
	libboost-context-dev
	python3-uvloop
	curl !curl
	procps !ps
	kcat !kcat
	redis-tools !redis-cli
	universal-ctags !ctags
	git !git
	gdb !gdb
	END
}

proof_packages() {
	cat <<-'END'
	gcc-aarch64-linux-gnu !aarch64-linux-gnu-gcc
	libc6-dev-arm64-cross
	qemu-user !qemu-aarch64
	END
}

# Reads such lines, prints the first package of each that nothing satisfies.
missing_of() {
	while read -r line; do
		found=
		for word in $line; do
			case $word in
			!*) command -v "${word#!}" >/dev/null 2>&1 && found=y ;;
			*) case $installed in *" $word "*) found=y ;; esac ;;
			esac
		done
		[ -n "$found" ] || echo "${line%% *}"
	done
}

# Installs its arguments; a stale or absent package list is refreshed once.
install_packages() {
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo=sudo
		if ! command -v sudo >/dev/null 2>&1; then
			echo "deps: run this as root: apt-get install --no-install-recommends $*" >&2
			exit 1
		fi
		sudo="sudo DEBIAN_FRONTEND=noninteractive"
	fi
	apt="$sudo apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! $apt install --no-install-recommends "$@" >"$log" 2>&1; then
		echo "deps: refreshing the package lists"
		$apt update >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
		$apt install --no-install-recommends "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
	fi
	rm -f "$log"
}

# Debian's redis-server package starts a server as it is installed; nobody here asked for one.
without_services() {
	policy=/usr/sbin/policy-rc.d
	if [ "$(id -u)" = 0 ] && [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
}

ensure_packages() {
	if ! command -v dpkg-query >/dev/null 2>&1; then
		echo "deps: this is no Debian; the equivalents of these are needed:" $("$1"_packages | cut -d' ' -f1)
		return 0
	fi
	installed=" $(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii  *//p' | tr '\n' ' ') "
	missing=$("$1"_packages | missing_of | tr '\n' ' ')
	[ -n "${missing% }" ] || return 0
	echo "deps: installing $missing"
	without_services
	# shellcheck disable=SC2086
	install_packages $missing
}

kafka_pom() {
	cat <<-END
	<project xmlns="http://maven.apache.org/POM/4.0.0">
	<modelVersion>4.0.0</modelVersion>
	<groupId>smstrackd</groupId><artifactId>test-kafka</artifactId><version>1</version><packaging>pom</packaging>
	<dependencies>
	<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
	<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA_VERSION</version></dependency>
	<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
	</dependencies>
	</project>
	END
}

# The folder appears whole or not at all: it is filled beside its place, then renamed.
ensure_kafka() {
	[ ! -e "$kafka_dir/libs/kafka_2.13-$KAFKA_VERSION.jar" ] || return 0
	echo "deps: fetching Apache Kafka $KAFKA_VERSION by maven into $kafka_dir"
	mkdir -p "$(dirname "$kafka_dir")"
	new=$(mktemp -d "$kafka_dir.XXXXXX")
	kafka_pom >"$new/pom.xml"
	try=1
	until mvn -q -B -f "$new/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new/libs" >"$new/mvn.log" 2>&1; do
		if [ $try = 3 ]; then
			tail -20 "$new/mvn.log" >&2
			echo "deps: maven could not fetch Kafka; its log: $new/mvn.log" >&2
			exit 1
		fi
		try=$((try + 1))
	done
	rm -rf "$kafka_dir"
	chmod 755 "$new"
	mv -T "$new" "$kafka_dir"
}

case ${1-} in
build)
	ensure_packages build
	;;
test | proof)
	ensure_packages build
	ensure_packages test
	ensure_kafka
	[ "$1" = test ] || ensure_packages proof
	;;
*)
	echo "usage: deps.sh build|test|proof" >&2
	exit 64
	;;
esac
