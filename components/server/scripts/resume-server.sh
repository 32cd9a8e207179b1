#!/usr/bin/env bash
# resume-server.sh DIR: starts the server that is deployed in DIR, with the settings that it has, if it does not run
# (the process runtime does not survive a reboot of the host).

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "resume-server.sh takes one argument, got $#" "resume-server.sh DIR"
use_host_directory "$1"
settings=$(cat "$DIR/server/settings" 2>/dev/null) || die "no Triton server is deployed in $DIR" "deploy the stack"
kind=$(sed -n 's/^kind //p' <<<"$settings")
image=$(sed -n 's/^image //p' <<<"$settings")
exec bash "$here/start-server.sh" "$DIR" "$kind" ${image:+"$image"} <<<"$settings"
