# shellcheck shell=bash
# Builds TensorRT engines in a container. Needs host-directory.sh. Sourced, never run.

# shellcheck source=components/host/scripts/host-docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-docker.sh"
# shellcheck source=components/models/scripts/shared-engines.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared-engines.sh"

declare -gA ENGINE=()
declare -ga ENGINE_SHAPES=()

# read_engine_options: reads stdin into ENGINE (by key) and ENGINE_SHAPES ("INPUT MIN OPT MAX", sizes joined by x).
read_engine_options() {
  local key value
  while IFS=' ' read -r key value || [ -n "$key" ]; do
    case $key in
      '') ;;
      shape) ENGINE_SHAPES+=("$value") ;;
      builder | precision | workspaceMiB | shared) ENGINE[$key]=$value ;;
      *) die "unknown engine option '$key'" "allowed: builder precision workspaceMiB shared shape" ;;
    esac
  done
  for key in builder precision workspaceMiB; do
    [ -n "${ENGINE[$key]-}" ] || die "the engine option '$key' is missing" "pass '$key VALUE' on stdin"
  done
}

# describe_gpu: sets GPU to what an engine is tied to. An engine runs on the kind of GPU that it was built on.
describe_gpu() {
  local found
  found=$(timeout 20 nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader 2>&1) ||
    die "this host has no working GPU to build an engine on: ${found##*$'\n'}" \
      "deploy to a host with an NVIDIA GPU and its driver, or remove engine from the model's settings"
  GPU=$(sort -u <<<"$found")
  [[ $GPU != *$'\n'* ]] ||
    die "this host has GPUs of several kinds: ${GPU//$'\n'/; }" \
      "build model.plan by hand for the GPU that serves it, and give that as the source"
}

# tensorrt_version IMAGE: the version that NVIDIA's images carry in their environment, otherwise the image's name.
tensorrt_version() {
  local found
  found=$(docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" |
    sed -n 's/^\(NV_\)\{0,1\}\(TRT\|TENSORRT\)_VERSION=//p' | head -n 1)
  [ -n "$found" ] || found=$(docker image inspect --format '{{.Id}}' "$1")
  printf '%s' "$found"
}

# engine_key VERSION_FOLDER TENSORRT: names an engine by everything it depends on.
engine_key() {
  {
    (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
    printf '%s\n' "gpu $GPU" "tensorrt $2" "precision ${ENGINE[precision]}" "workspace ${ENGINE[workspaceMiB]}"
    printf 'shape %s\n' "${ENGINE_SHAPES[@]+"${ENGINE_SHAPES[@]}"}"
  } | sha256sum | cut -c1-32
}

# profile FLAG FIELD: trtexec's flag with one of the three shapes of every input.
profile() {
  local shape words joined=""
  for shape in "${ENGINE_SHAPES[@]}"; do
    read -r -a words <<<"$shape"
    joined+=${joined:+,}"'${words[0]}':${words[$2]}"
  done
  printf '%s=%s' "$1" "$joined"
}

# trtexec_arguments: fills "arguments". What each release calls a flag was read in its help.
trtexec_arguments() {
  local workspace="--workspace=${ENGINE[workspaceMiB]}"
  # Since TensorRT 8.4; the old name is gone from 10.0.
  if docker run --rm --entrypoint trtexec "${ENGINE[builder]}" --help 2>&1 | grep -q -- --memPoolSize; then
    workspace="--memPoolSize=workspace:${ENGINE[workspaceMiB]}"
  fi
  arguments=(--onnx=/onnx/model.onnx --saveEngine=/engine/model.plan "$workspace" --buildOnly)
  case ${ENGINE[precision]} in
    fp32) ;;
    fp16 | best) arguments+=("--${ENGINE[precision]}") ;;
    *) die "unknown precision '${ENGINE[precision]}'" "allowed: fp32 fp16 best" ;;
  esac
  [ ${#ENGINE_SHAPES[@]} -eq 0 ] ||
    arguments+=("$(profile --minShapes 1)" "$(profile --optShapes 2)" "$(profile --maxShapes 3)")
}

describe_build() {
  local last
  last=$(sed -n 's/^\(\[[^]]*\] *\)\{0,2\}//;/./p' "$ENGINE_LOG" | tail -n 1)
  printf 'building the engine of %s (%s s): %s' "$ENGINE_TITLE" "$1" "${last:0:120}"
}

# drop_build: ends a build in progress, for a trap.
BUILD_CONTAINER="" BUILD_FOLDER=""
drop_build() {
  [ -z "$BUILD_CONTAINER" ] || docker rm --force "$BUILD_CONTAINER" >/dev/null 2>&1 || true
  [ -z "$BUILD_FOLDER" ] || rm -rf "$BUILD_FOLDER"
}

# keep_engine ENTRY: gives a complete engine its name.
keep_engine() {
  touch "$1.new/used"
  mv -T "$1.new" "$1"
  BUILD_FOLDER=""
}

# build_engine MODEL VERSION ONNX_FOLDER KEY TENSORRT: puts the engine into the cache, unless it is
# there: one that another host has built, or a new one.
build_engine() {
  local model=$1 version=$2 onnx=$3 entry=$DIR/engines/cache/$4 tensorrt=$5
  local container arguments=() reason began=$SECONDS
  local shared=${ENGINE[shared]:+${ENGINE[shared]}/$4}
  container=xsched-engine-$(host_identity)-$model
  lock "engine-$4"
  if [ -f "$entry/model.plan" ]; then
    touch "$entry/used"
    progress "the engine of $model, version $version, is there already"
    return 0
  fi
  rm -rf "$entry" "$entry.new"
  mkdir "$entry.new"
  ENGINE_TITLE="$model, version $version"
  ENGINE_LOG=$DIR/engines/log/$model-$version.log
  BUILD_FOLDER=$entry.new
  if [ -n "$shared" ] && take_shared_engine "$shared" "$entry.new" "$ENGINE_TITLE"; then
    keep_engine "$entry"
    return 0
  fi
  trtexec_arguments
  # Left by an interrupted build.
  docker rm --force "$container" >/dev/null 2>&1 || true
  BUILD_CONTAINER=$container
  progress "building the engine of $ENGINE_TITLE on $GPU with TensorRT $tensorrt; this can take many minutes"
  # Models that are served on this host get the CPU before the builder.
  docker run --rm --name "$container" --gpus all --cpu-shares 64 --user "$(id -u):$(id -g)" --network none \
    --entrypoint trtexec \
    --mount "type=bind,\"source=${onnx//\"/\"\"}\",target=/onnx,readonly" \
    --mount "type=bind,\"source=${entry//\"/\"\"}.new\",target=/engine" \
    "${ENGINE[builder]}" "${arguments[@]}" >"$ENGINE_LOG" 2>&1 &
  if ! await_job $! describe_build || [ ! -s "$entry.new/model.plan" ]; then
    reason=$(grep -E '\[E\]|[Ee]rror' "$ENGINE_LOG" | head -n 3 | cut -c1-400) || true
    [ -n "$reason" ] || reason=$(tail -n 3 "$ENGINE_LOG")
    die "TensorRT cannot build the engine of $ENGINE_TITLE: ${reason:-trtexec said nothing}" \
      "correct the ONNX model or the engine's settings; the log is $ENGINE_LOG. What served before still serves"
  fi
  {
    printf 'model %s\nversion %s\ngpu %s\ntensorrt %s\n' "$model" "$version" "$GPU" "$tensorrt"
    printf 'argument %s\n' "${arguments[@]}"
    printf 'sha256 %s\n' "$(sha256sum <"$entry.new/model.plan" | cut -d ' ' -f 1)"
  } >"$entry.new/built"
  progress "built the engine of $ENGINE_TITLE in $((SECONDS - began)) s"
  BUILD_CONTAINER=""
  keep_engine "$entry"
  [ -z "$shared" ] || share_engine "$shared" "$entry" "$ENGINE_TITLE"
}
