#!/usr/bin/env bash
# store-model.sh DIR MODEL DIGEST FILES_DIGEST SOURCE: puts one version of a model directory into the store.
# stdin: its config.pbtxt. SOURCE is a folder on this host, read only if files of this digest are not stored yet; or
# s3://BUCKET/PREFIX, of which fetch-model.sh has stored the files.
# Nobody ever sees half an entry, and an entry never changes: what serves is chosen by activate-model.sh.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 5 ] || die "store-model.sh takes five arguments, got $#" "store-model.sh DIR MODEL DIGEST FILES_DIGEST SOURCE"
use_host_directory "$1"
model=$2 digest=$3 files_digest=$4 source=$5
require_path_segment "model name" "$model"
require_path_segment digest "$digest"
require_path_segment digest "$files_digest"

store=$DIR/models/store/$model
mkdir -p "$store" "$DIR/models/repository"
lock "model-$model"
rm -rf "$store"/.staging-*
staging=$store/.staging-$$
trap 'rm -rf "$staging"; rmdir "$store" 2>/dev/null || true' EXIT

if [ ! -d "$store/files-$files_digest" ]; then
  [[ $source != s3://* ]] ||
    die "the files of the model $model are no longer on this host" "fetch them again: pulumi up --replace '**${model}/files'"
  [ -d "$source" ] || die "the source of the model $model is not a folder: $source" "check the model's source"
  mkdir "$staging"
  # Links are followed, because what they point at may change or not be on this host tomorrow.
  cp -RL --reflink=auto "$source/." "$staging/files" ||
    die "cannot copy the model $model from $source" "read the lines above; the disk may be full or a link broken"
  # The stack owns config.pbtxt; the others are not part of a model.
  rm -rf "$staging/files/config.pbtxt"
  find "$staging/files" -depth \( -name __pycache__ -o -name .git \) -exec rm -rf {} +
  chmod -R u+rwX,go+rX,go-w "$staging/files"
  mv -T "$staging/files" "$store/files-$files_digest"
  rmdir "$staging"
fi

if [ ! -d "$store/$digest" ]; then
  mkdir "$staging"
  # Hard links: a new config must not cost a second copy of the weights.
  cp -al "$store/files-$files_digest" "$staging/model"
  cat >"$staging/model/config.pbtxt"
  mv -T "$staging/model" "$store/$digest"
  rmdir "$staging"
fi

active=$(readlink "$DIR/models/repository/$model" 2>/dev/null) || active=""
for entry in "$store"/*; do
  case ${entry##*/} in
    "$digest" | "files-$files_digest" | "files-$files_digest.objects" | "${active##*/}") ;;
    *) rm -rf "$entry" ;;
  esac
done

# refill-models.sh stores what is noted.
[ -n "${XSCHED_TRITON_REFILL-}" ] ||
  bash "$here/keep-model.sh" "$DIR" "$model" "$digest" "$files_digest" "$source"

# What was uploaded for this model lies in the store now.
rm -rf "${DIR:?}/uploads/$model"
rmdir "$DIR/uploads" 2>/dev/null || true
