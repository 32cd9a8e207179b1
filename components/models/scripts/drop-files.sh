#!/usr/bin/env bash
# drop-files.sh DIR MODEL: removes what fetch-model.sh has fetched of a model that was never stored, or that comes from
# somewhere else by now. What is stored stays; store-model.sh and remove-model.sh take care of that.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 2 ] || die "drop-files.sh takes two arguments, got $#" "drop-files.sh DIR MODEL"
use_host_directory "$1"
model=$2
require_path_segment "model name" "$model"
store=$DIR/models/store/$model
[ -d "$store" ] || exit 0
lock "model-$model"
rm -rf "$store/.fetching"
for entry in "$store"/*; do
  case ${entry##*/} in
    files-*) ;;
    *) exit 0 ;;
  esac
done
rm -rf "$store"
