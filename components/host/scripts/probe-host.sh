#!/usr/bin/env bash
# probe-host.sh DIR: makes the host directory and says, as one JSON object, what this host has.
# Needs only bash and coreutils: it runs before anything is installed.

# shellcheck source=components/host/scripts/host-directory.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-directory.sh"

[ $# -eq 1 ] || die "probe-host.sh takes one argument, got $#" "probe-host.sh DIR"
case $1 in
  /*) directory=$1 ;;
  \~) directory=$HOME ;;
  \~/*) directory=$HOME/${1#\~/} ;;
  '') die "the host directory is empty" "give a path" ;;
  *) directory=$HOME/$1 ;;
esac
use_host_directory "$directory"
mkdir -p "$DIR" 2>/dev/null || die "cannot create $DIR as $(id -un)" "choose a directory that $(id -un) may write to"
[ -w "$DIR" ] || die "$(id -un) may not write to $DIR" "choose another directory or change its owner"

system=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null) || system=""
system=${system//\"/}
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || printf unknown)

gpus=""
# Triton cannot use a GPU without a working driver.
if command -v nvidia-smi >/dev/null && names=$(timeout 20 nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null); then
  while IFS= read -r name; do
    [ -z "$name" ] || gpus+=${gpus:+,}$(json_string "$name")
  done <<<"$names"
fi

docker=false
if command -v docker >/dev/null && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
  docker=true
fi

printf '{"directory":%s,"os":%s,"arch":%s,"glibc":%s,"gpus":[%s],"docker":%s}\n' \
  "$(json_string "$DIR")" "$(json_string "$system")" "$(json_string "$(uname -m)")" \
  "$(json_string "${glibc#glibc }")" "$gpus" "$docker"
