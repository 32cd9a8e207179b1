#!/usr/bin/env bash
# remove-services.sh DIR: undoes install-services.sh.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "remove-services.sh takes one argument, got $#" "remove-services.sh DIR"
use_host_directory "$1"
[ -d "$DIR" ] || exit 0
bash "$here/install-services.sh" "$DIR"
bash "$here/unmount-instance-store.sh" "$DIR"
