#!/usr/bin/env bash
# keep-model.sh DIR MODEL DIGEST FILES_DIGEST SOURCE: notes on the root disk how to store this state of a model again. Of
# a model in S3 that is where its objects are; of any other its files. Only where the store is a disk of its own, which
# a stop of the instance empties.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 5 ] || die "keep-model.sh takes five arguments, got $#" "keep-model.sh DIR MODEL DIGEST FILES_DIGEST SOURCE"
use_host_directory "$1"
model=$2 digest=$3 files_digest=$4 source=$5
require_path_segment "model name" "$model"
require_path_segment digest "$digest"
require_path_segment digest "$files_digest"
mountpoint -q "$DIR/models/store" || exit 0

store=$DIR/models/store/$model
kept=$DIR/models/kept/$model
mkdir -p "$kept"
rm -rf "$kept"/.staging-*
staging=$kept/.staging-$$
trap 'rm -rf "$staging"' EXIT

case $source in
  s3://*) ;;
  *)
    source=files
    if [ ! -d "$kept/files-$files_digest" ]; then
      cp -a "$store/files-$files_digest" "$staging" || die "cannot keep a copy of the model $model on the root disk" "free some of it"
      mv -T "$staging" "$kept/files-$files_digest"
    fi
    ;;
esac
mkdir "$staging"
cp "$store/$digest/config.pbtxt" "$staging/config.pbtxt"
[ ! -f "$store/files-$files_digest.objects" ] || cp "$store/files-$files_digest.objects" "$staging/objects"
printf '%s\n' "$files_digest" >"$staging/files-digest"
printf '%s\n' "$source" >"$staging/source"
rm -rf "${kept:?}/$digest"
mv -T "$staging" "$kept/$digest"

# What is stored no longer needs no note. Each note names its files.
needed=" "
for entry in "$kept"/*; do
  case ${entry##*/} in
    files-*) ;;
    *)
      if [ -d "$store/${entry##*/}" ]; then
        needed+="files-$(cat "$entry/files-digest") "
      else
        rm -rf "$entry"
      fi
      ;;
  esac
done
for entry in "$kept"/files-*; do
  [[ $needed == *" ${entry##*/} "* ]] || rm -rf "$entry"
done
