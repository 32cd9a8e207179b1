#!/usr/bin/env bash
# resume-host.sh DIR: the server runs again, with all its models, after a start of the machine. Docker brings a container
# back only if nobody has stopped it, and does not know of models that were added later.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "resume-host.sh takes one argument, got $#" "resume-host.sh DIR"
use_host_directory "$1"
# Nothing is deployed yet, or nothing any more.
[ -r "$DIR/server/settings" ] || exit 0
bash "$here/refill-models.sh" "$DIR" || failed=yes
bash "$here/resume-server.sh" "$DIR" >/dev/null
for link in "$DIR/models/repository"/*; do
  # A dangling link belongs to a model that could not be restored.
  [ -d "$link" ] || continue
  entry=$(readlink "$link")
  bash "$here/activate-model.sh" "$DIR" "${link##*/}" "${entry##*/}" >/dev/null || failed=yes
done
[ -z "${failed-}" ]
