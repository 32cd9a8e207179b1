#!/usr/bin/env bash
# refill-models.sh DIR: stores again what keep-model.sh has noted and the store does not have any more, because the
# instance's disk was emptied by a stop. What lies in S3 is fetched as it was, where the bucket keeps versions.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "refill-models.sh takes one argument, got $#" "refill-models.sh DIR"
use_host_directory "$1"

# refill MODEL DIGEST
refill() {
  local kept=$DIR/models/kept/$1/$2 files_digest source
  [ ! -d "$DIR/models/store/$1/$2" ] || return 0
  files_digest=$(cat "$kept/files-digest") && source=$(cat "$kept/source") || return 1
  progress "bringing back the model $1"
  case $source in
    s3://*)
      XSCHED_TRITON_VERSIONS=$kept/objects bash "$here/fetch-model.sh" "$DIR" "$1" "$files_digest" "$source" \
        < <(awk '{ path = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /, "", path); print $1, $2, path }' "$kept/objects") || return 1
      ;;
    *) source=$DIR/models/kept/$1/files-$files_digest ;;
  esac
  XSCHED_TRITON_REFILL=yes bash "$here/store-model.sh" "$DIR" "$1" "$2" "$files_digest" "$source" <"$kept/config.pbtxt"
}

failed=""
for kept in "$DIR/models/kept"/*; do
  [ -d "$kept" ] || continue
  model=${kept##*/}
  active=$(readlink "$DIR/models/repository/$model" 2>/dev/null) || active=""
  active=${active##*/}
  # What serves first: store-model.sh keeps it, and what it is called for.
  tried=""
  for note in "$kept/$active" "$kept"/*; do
    digest=${note##*/}
    case $digest in '' | files-* | "$tried") continue ;; esac
    [ -d "$note" ] || continue
    refill "$model" "$digest" || failed+=" $model"
    [ "$digest" != "$active" ] || tried=$active
  done
done
[ -z "$failed" ] || die "some models could not be restored:$failed" "see the lines above; deploy again to store what is in S3 now"
