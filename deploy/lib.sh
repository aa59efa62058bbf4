#!/bin/bash
# What the scripts share: packages, builds, the machine's door. Sourced by bash; expects set -eu and a variable "top".

# To build and run; to test as well.
build_packages=(gcc make cmake pkg-config libseccomp-dev libcap-ng-dev libjansson-dev libnl-3-dev libnl-route-3-dev libyaml-dev libmd-dev
	libssl-dev libnghttp2-dev libmicrohttpd-dev libnanopb-dev nanopb containernetworking-plugins iproute2
	procps util-linux)
test_packages=("${build_packages[@]}" clang-14 libclang-rt-14-dev libcmocka-dev python3 python3-pytest python3-yaml python3-h2
	python3-cryptography python3-prometheus-client curl iptables binutils runc containerd
	python3-grpcio python3-protobuf protobuf-compiler golang-go golang-github-appc-cni-dev
	qemu-system-x86 e2fsprogs kmod mount)

need_root() {
	[ "$(id -u)" -eq 0 ] || { echo "$0: needs root: it makes network namespaces (try: sudo $0)" >&2; exit 2; }
}

# Installs those of the packages that are missing; asks the network only then.
need_packages() {
	local missing=() p
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return
	command -v apt-get >/dev/null || { echo "missing, and no apt-get here to install them: ${missing[*]}" >&2; exit 2; }
	echo "installing: ${missing[*]}"
	apt-get -qq update >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
}

# Where the programs are built that the scripts use.
build_dir=${POSTERN_BUILD:-$top/build}

# build DIRECTORY TARGET [CMAKE-ARGUMENT...]
build() {
	local dir=$1 target=$2
	shift 2
	cmake -S "$top" -B "$dir" "$@" >"$dir.log" 2>&1 &&
		cmake --build "$dir" --target "$target" -j "$(nproc)" >>"$dir.log" 2>&1 ||
		{ tail -n 40 "$dir.log" >&2; echo "the build in $dir failed; all of it: $dir.log" >&2; return 1; }
}

# Points the machine's door at SOCKET until door_restore.
door_dir=/etc/postern door_file=/etc/postern/door door_state=
door_take() {
	if [ -e "$door_file" ]; then
		door_before=$(cat "$door_file") door_state=file
	elif [ -d "$door_dir" ]; then
		door_state=dir
	else
		door_state=none
	fi
	mkdir -p "$door_dir"
	echo "$1" >"$door_file"
}
door_restore() {
	case $door_state in
	file) echo "$door_before" >"$door_file" ;;
	dir) rm -f "$door_file" ;;
	none) rm -f "$door_file"; rmdir "$door_dir" 2>/dev/null || true ;;
	esac
	door_state=
}

# The door's socket, if somebody serves it now.
door_served() {
	local path=/run/postern/postern.sock
	[ -r "$door_file" ] && path=$(head -n 1 "$door_file")
	ss -xlH 2>/dev/null | grep -qF " $path " && echo "$path"
}
