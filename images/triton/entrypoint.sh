#!/bin/bash -p
# entrypoint.sh COMMAND [ARGUMENT…]: the image's entrypoint. Runs tritonserver under XSched, and refuses to run it if it
# must be scheduled but cannot be. Any other command runs as in the base image, without XSched.
#
#   XSCHED_REQUIRED               ON: refuse to serve unscheduled; OFF: serve anyway; unset: ON if there is a GPU
#   XSCHED_TRITON_DRAIN_SECONDS   how long Triton keeps serving, with a failing health check, before it is stopped
#   AIP_MODE                      set by Vertex AI: the arguments are tritonserver's
#
# -p ignores BASH_ENV, with which NVIDIA's images make every Bash start with their check of the GPU. The base's own
# entrypoint runs that check once.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
variant=${XSCHED_TRITON_VARIANT-}
hooks=$root/lib/libxsched_triton_hooks.so
# Read by healthcheck.sh.
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}
base_entrypoint=${XSCHED_TRITON_BASE_ENTRYPOINT:-/opt/nvidia/nvidia_entrypoint.sh}
problems=() fixes=()
problem() {
  problems+=("$1")
  fixes+=("$2")
}

die() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

# gpu_property NAME…: one line for each GPU that the container sees.
gpu_property() {
  timeout 20 nvidia-smi "--query-gpu=$(IFS=, && printf '%s' "$*")" --format=csv,noheader 2>/dev/null
}

# NVIDIA_DRIVER_CAPABILITIES can leave out nvidia-smi; the devices are still there.
gpu_visible() {
  gpu_property name >/dev/null || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]
}

library_path() {
  printf '%s' "$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# The hooks come first, in front of every other library that stands in for dlsym.
preload() {
  local first=""
  [ "$variant" != hooked ] || first=$hooks
  printf '%s' "$first${first:+${LD_PRELOAD:+:}}${LD_PRELOAD-}"
}

# cuda_library PATH [PRELOAD]: the file that the loader would load as libcuda.so.1, with PATH as LD_LIBRARY_PATH.
cuda_library() {
  LD_LIBRARY_PATH=$1 LD_PRELOAD="${2:+$2:}libcuda.so.1" LD_TRACE_LOADED_OBJECTS=1 \
    /bin/sleep 0 2>/dev/null | sed -nE 's/^[[:space:]]*(libcuda\.so\.1 => )?(\/.*\/libcuda\.so[^ ]*) .*$/\2/p' | head -n 1
}

check_library() {
  local found
  # Even with other preloaded libraries.
  found=$(cuda_library "$(library_path)" "$(preload)") || true
  [ "$found" = "$root/lib/libcuda.so.1" ] || problem \
    "CUDA would use ${found:-no libcuda.so.1 at all} instead of $root/lib/libcuda.so.1" \
    "remove LD_PRELOAD from the container's environment; if the file is missing, rebuild the image"
}

# The loader only says that it ignores what it cannot preload.
check_hooks() {
  local said
  [ "$variant" = hooked ] || return 0
  said=$(LD_LIBRARY_PATH=$(library_path) LD_PRELOAD=$hooks /bin/sleep 0 2>&1) || said=${said:-the loader fails}
  [ -z "$said" ] || problem "the hooks for Triton's backends cannot be loaded: ${said##*$'\n'}" "rebuild the image"
}

# LD_LIBRARY_PATH without the shim's own folder.
path_without_shim() {
  local folder path=""
  while IFS= read -r -d : folder; do
    [ "$folder" -ef "$root/lib" ] || path+=${path:+:}$folder
  done <<<"${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}"
  printf '%s' "$path"
}

# Checks that CUDA starts under the shim, on the driver that it would use without the shim. Sets "driver" for the health
# check: "-" if any driver will do.
check_driver() {
  local said used
  if [ -z "${XSCHED_CUDA_LIB-}" ]; then
    driver=$(cuda_library "$(path_without_shim)") || true
  fi
  driver=${driver:--}
  if ! said=$(LD_LIBRARY_PATH=$(library_path) timeout 60 "$root/bin/xsched-ctl" check 2>&1); then
    problem "CUDA does not start under XSched: ${said##*$'\n'}" \
      "check that nvidia-smi works in the container; the host's driver must fit the image's CUDA or its compat package${driver_branch:+ (Triton $release: $driver_branch or newer)}"
    return
  fi
  used=$(sed -n 's/^driver  *//p' <<<"$said")
  [ "$driver" = - ] || [ "$used" -ef "$driver" ] || problem \
    "XSched would use the driver $used, but CUDA without XSched would use $driver" \
    "set XSCHED_CUDA_LIB to $driver"
}

# The core refuses such a folder for its domain, too, but then Triton's processes go on, each by itself.
check_domain() {
  local folder=${XSCHED_DOMAIN_DIR:-/dev/shm/xsched-$EUID} said
  if [[ $folder != /* ]]; then
    said="is not an absolute path"
  elif [ -L "$folder" ]; then
    said="is a symbolic link"
  elif [ ! -e "$folder" ] && ! mkdir -m 700 "$folder" 2>/dev/null; then
    said="cannot be created"
  elif [ ! -d "$folder" ] || [ ! -O "$folder" ] || [[ $(stat -c %A "$folder") == ?????w* ]] ||
    [[ $(stat -c %A "$folder") == ????????w* ]]; then
    said="is not a folder that only this container's user (uid $EUID) can write to"
  elif [ ! -w "$folder" ]; then
    said="cannot be written to"
  else
    return 0
  fi
  problem "the folder of the scheduling domain, $folder, $said" \
    "run all containers of the domain as one user, or set scheduler.domain to none (XSCHED_SCHEDULER=LCL)"
}

check_settings() {
  [ "${XSCHED_POLICY:-HPF}" = HPF ] || problem \
    "XSCHED_POLICY is '$XSCHED_POLICY', which schedules no models" "set it to HPF, or remove it"
  case ${XSCHED_SCHEDULER:-GLB} in
    GLB) check_domain ;;
    LCL) ;;
    *) problem "XSCHED_SCHEDULER is '$XSCHED_SCHEDULER', which schedules no models" "set it to GLB or LCL, or remove it" ;;
  esac
  case ${XSCHED_CONTROL:-ON} in
    [Oo][Ff][Ff] | 0) problem \
      "XSCHED_CONTROL is '$XSCHED_CONTROL', so nobody could ask whether Triton is scheduled" "set it to ON, or remove it" ;;
  esac
}

# Sets "release", and of the newest one that is listed and not newer, "driver_branch" and "capabilities": what it takes to
# run it. They are empty if the base doesn't say its release.
read_release() {
  local listed branch gpus
  release=${NVIDIA_TRITON_SERVER_VERSION-} driver_branch="" capabilities=""
  [ -n "$release" ] || [ "$variant" != patched ] || release=22.06
  while read -r listed branch gpus; do
    [[ $listed == \#* || $listed > $release ]] || driver_branch=$branch capabilities=$gpus
  done <"$root/releases.txt"
}

# GPUs that the release does not support. With another backend than TensorRT, some work all the same.
check_capabilities() {
  local line
  [ -n "$capabilities" ] || return 0
  # Drivers before 510 do not know the field, and say so in place of the GPUs, which are old enough.
  while IFS= read -r line; do
    if [[ $line =~ ,\ [0-9]+\.[0-9]+$ && " $capabilities " != *" ${line##*, } "* ]]; then
      set -- "Triton $release does not support ${line%, *} (compute capability ${line##*, })"
      if [ "$variant" = patched ]; then
        problem "$1" "use a GPU of compute capability ${capabilities// /, }, or build the variant hooked on a newer Triton"
      else
        printf 'warning: %s: use a GPU of compute capability %s, or another base\n' "$1" "${capabilities// /, }" >&2
      fi
    fi
  done < <(gpu_property name compute_cap || true)
}

check_gpus() {
  if ! gpu_visible; then
    problem "no GPU is visible in the container" \
      "run it with --gpus all on a host with an NVIDIA driver and the NVIDIA container toolkit"
    return
  fi
  read_release
  check_driver
  check_capabilities
}

# Sets "required". Exits if Triton must be scheduled but cannot be.
check_scheduling() {
  local index
  driver=-
  case ${XSCHED_REQUIRED-} in
    [Oo][Nn] | 1) required=ON ;;
    [Oo][Ff][Ff] | 0) required=OFF ;;
    '') if gpu_visible; then required=ON; else required=OFF; fi ;;
    *) die "XSCHED_REQUIRED is '$XSCHED_REQUIRED'" "set it to ON or OFF, or remove it" ;;
  esac
  check_library
  check_hooks
  check_settings
  check_gpus
  for index in "${!problems[@]}"; do
    if [ "$required" = ON ]; then
      printf 'error: models cannot be scheduled: %s\nfix: %s\n' "${problems[index]}" "${fixes[index]}" >&2
    else
      printf 'warning: models run unscheduled: %s\n' "${problems[index]}" >&2
    fi
  done
  if [ "$required" = ON ] && [ "${#problems[@]}" -gt 0 ]; then
    printf 'Triton was not started, because XSCHED_REQUIRED is %s (scheduler.required in the stack config).\n' \
      "${XSCHED_REQUIRED:-ON by default on a GPU}" >&2
    exit 1
  fi
}

# find_http ARGUMENT…: sets "address" and "port", where this tritonserver serves HTTP inside the container.
find_http() {
  address=127.0.0.1 port=8000
  while [ $# -gt 0 ]; do
    case $1 in
      --http-address=*) address=${1#*=} ;;
      --http-port=*) port=${1#*=} ;;
      --http-address) address=${2-} ;;
      --http-port) port=${2-} ;;
    esac
    shift
  done
  address=${address#[} address=${address%]}
  case $address in
    0.0.0.0) address=127.0.0.1 ;;
    ::) address=::1 ;;
  esac
}

# Triton refuses requests as soon as it gets the signal. It gets only one: a second would make it drop the requests in
# flight.
# shellcheck disable=SC2317  # called by a signal
drain_and_stop() {
  interrupted=yes
  # Too early: this is called again once the server has started.
  [ -n "$server" ] || return 0
  trap '' TERM INT
  touch "$state/draining" 2>/dev/null || true
  if [ "$drain" -gt 0 ]; then
    printf 'entrypoint: draining for %s s, with a failing health check\n' "$drain" >&2
    sleep "$drain" &
    # Meanwhile, Triton may end by itself.
    wait -n "$!" "$server" || true
  fi
  kill -TERM "$server" 2>/dev/null || true
}

run_tritonserver() {
  local environment status=0
  environment=()
  # NVIDIA's check of the driver has run. In the shell with which the Python backend starts a model, it could put the
  # image's own driver before the shim.
  [ "${BASH_ENV-}" != /etc/bash.bashrc ] || environment+=(--unset=BASH_ENV)
  # The patched backend reads it, too.
  environment+=("XSCHED_REQUIRED=$required")
  # Without a driver, the core would only complain, in each process.
  if gpu_visible; then
    environment+=("LD_LIBRARY_PATH=$(library_path)" "XSCHED_POLICY=${XSCHED_POLICY:-HPF}")
    # Models can run in processes of their own.
    environment+=("XSCHED_SCHEDULER=${XSCHED_SCHEDULER:-GLB}")
    case $variant in
      hooked) environment+=("LD_PRELOAD=$(preload)" "XSCHED_AUTO_XQUEUE=${XSCHED_AUTO_XQUEUE:-ON}") ;;
      transparent) environment+=("XSCHED_AUTO_XQUEUE=${XSCHED_AUTO_XQUEUE:-ON}") ;;
    esac
  fi

  find_http "$@"
  mkdir -p "$state"
  rm -f "$state/draining" "$state/server"
  server="" interrupted=""
  trap drain_and_stop TERM INT
  env "${environment[@]}" "$@" &
  server=$!
  [ -z "$interrupted" ] || drain_and_stop
  # Renamed into place, so that it is complete as soon as it exists.
  printf '%s\n' "$server" "$address" "$port" "$required" "$driver" >"$state/server.new"
  mv "$state/server.new" "$state/server"
  while :; do
    interrupted=""
    status=0
    wait "$server" || status=$?
    [ -n "$interrupted" ] || break
  done
  exit "$status"
}

# On Vertex AI, NVIDIA's entrypoint starts a tritonserver of its own from any arguments, so hide AIP_MODE from it.
if [ -n "${AIP_MODE-}" ]; then
  case ${1-} in
    '' | -*) set -- tritonserver "$@" ;;
  esac
  export XSCHED_TRITON_AIP_MODE=$AIP_MODE
  unset AIP_MODE
fi
[ $# -gt 0 ] || die "no command given" "docker run … IMAGE tritonserver --model-repository=/models"
# The base's own entrypoint sets up the driver, then comes back here.
if [ -z "${XSCHED_TRITON_ENTERED-}" ] && [ -x "$base_entrypoint" ]; then
  XSCHED_TRITON_ENTERED=yes exec "$base_entrypoint" "${BASH_SOURCE[0]}" "$@"
fi
unset XSCHED_TRITON_ENTERED
if [ -n "${XSCHED_TRITON_AIP_MODE-}" ]; then
  export AIP_MODE=$XSCHED_TRITON_AIP_MODE
  unset XSCHED_TRITON_AIP_MODE
fi
[ "${1##*/}" = tritonserver ] || exec "$@"

drain=${XSCHED_TRITON_DRAIN_SECONDS:-0}
[[ $drain =~ ^[0-9]{1,4}$ ]] ||
  die "XSCHED_TRITON_DRAIN_SECONDS is '$drain'" "give a whole number of seconds from 0 to 9999"
check_scheduling
run_tritonserver "$@"
