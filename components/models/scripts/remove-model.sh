#!/usr/bin/env bash
# remove-model.sh DIR MODEL: removes everything that is stored of a model, which must not be active any more.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 2 ] || die "remove-model.sh takes two arguments, got $#" "remove-model.sh DIR MODEL"
use_host_directory "$1"
model=$2
require_path_segment "model name" "$model"
[ -d "$DIR" ] || exit 0
lock "model-$model"
[ ! -L "$DIR/models/repository/$model" ] ||
  die "the model $model is still active" "run deactivate-model.sh '$DIR' '$model' first"
rm -rf "${DIR:?}/models/store/$model" "${DIR:?}/models/kept/$model" "${DIR:?}/uploads/$model" \
  "${DIR:?}/engines/sources/$model" "${DIR:?}/engines/ready/$model"
