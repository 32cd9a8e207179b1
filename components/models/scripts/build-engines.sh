#!/usr/bin/env bash
# build-engines.sh DIR MODEL FILES_DIGEST SOURCE: builds a TensorRT engine from the model.onnx of each version folder
# of SOURCE, on this host's GPU. stdin: how, one "key value" a line (builder, precision, workspaceMiB, shared, shape).
# stdout: a digest of the files with the engines, which are then in DIR/engines/ready/MODEL for store-model.sh.
#
# An engine is kept under a name made of everything it depends on, so that none is built twice. Of a version folder with
# a model.onnx only the engine is served: the rest holds its weights.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/models/scripts/engine-builder.sh
. "$here/engine-builder.sh"

[ $# -eq 4 ] || die "build-engines.sh takes four arguments, got $#" "build-engines.sh DIR MODEL FILES_DIGEST SOURCE"
use_host_directory "$1"
model=$2 files_digest=$3 source=$4
require_path_segment "model name" "$model"
require_path_segment digest "$files_digest"

# Engines that no deployment has used for this long are removed.
UNUSED_DAYS=30

read_engine_options
engines=$DIR/engines
mkdir -p "$engines/cache" "$engines/sources" "$engines/ready" "$engines/log"
lock "engines-$model"

# What came to the host for this model goes when it is stored, and is needed again when only an option changes.
onnx=$source
[[ $source != s3://* ]] || source=$DIR/models/store/$model/files-$files_digest # where fetch-model.sh puts it
if [[ $source == "$DIR/"* ]]; then
  onnx=$engines/sources/$model/$files_digest
  if [ ! -d "$onnx" ] && [ -d "$source" ]; then
    rm -rf "${engines:?}/sources/$model"
    mkdir -p "$engines/sources/$model"
    # Links, but between an instance store and the root disk there can be none.
    cp -al "$source" "$onnx.new" 2>/dev/null || { rm -rf "$onnx.new" && cp -a "$source" "$onnx.new"; } || die "cannot keep the ONNX model of $model" "read the line above; the disk may be full"
    mv -T "$onnx.new" "$onnx"
  fi
fi
[ -d "$onnx" ] || die "the source of the model $model is not a folder: $onnx" "check the model's source"

describe_gpu
require_image "${ENGINE[builder]}"
tensorrt=$(tensorrt_version "${ENGINE[builder]}")

ready=$engines/ready/$model
rm -rf "$ready" "$ready.new"
trap 'drop_build; rm -rf "$ready.new"' EXIT
# Bash then runs the trap above.
trap 'exit 130' INT TERM HUP
mkdir "$ready.new"
keys=()
for version in "$onnx"/*; do
  name=${version##*/}
  case $name in
    config.pbtxt | __pycache__ | .git) continue ;;
  esac
  if [ ! -f "$version/model.onnx" ]; then
    cp -RL --reflink=auto "$version" "$ready.new/$name"
    continue
  fi
  key=$(engine_key "$version" "$tensorrt")
  keys+=("$name:$key")
  build_engine "$model" "$name" "$version" "$key" "$tensorrt"
  mkdir "$ready.new/$name"
  ln "$engines/cache/$key/model.plan" "$ready.new/$name/model.plan"
done
[ ${#keys[@]} -gt 0 ] ||
  die "no version folder of the model $model has a model.onnx" "put it into $source/1, or remove engine from the model's settings"
mv -T "$ready.new" "$ready"

find "$engines/cache" -mindepth 2 -maxdepth 2 -name used -mtime "+$UNUSED_DAYS" -printf '%h\0' | xargs -0 -r rm -rf

printf '%s\n' "$files_digest" "${keys[@]}" | sha256sum | cut -c1-16
