#!/usr/bin/env bash
# remove-host.sh DIR: removes what these scripts made in the host directory, and the directory if nothing is left.

# shellcheck source=components/host/scripts/host-directory.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-directory.sh"

[ $# -eq 1 ] || die "remove-host.sh takes one argument, got $#" "remove-host.sh DIR"
use_host_directory "$1"
[ -d "$DIR" ] || exit 0
[ ! -e "$DIR/server" ] || die "a Triton server is still deployed in $DIR" "run stop-server.sh '$DIR' first"

for entry in runtime models engines uploads metrics locks images bin bin.new bin.old; do
  # A user may have made parts of it read-only; rm -rf as the owner copes with such files, not with such folders.
  rm -rf "${DIR:?}/$entry" || die "cannot remove $DIR/$entry" "remove it by hand"
done
rmdir "$DIR" 2>/dev/null || progress "left $DIR in place: it holds files that are not ours"
