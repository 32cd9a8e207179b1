#!/bin/bash -p
# entrypoint.sh COMMAND [ARGUMENT…]: what the image runs. tritonserver runs under XSched, and not at all if it must be
# scheduled and cannot be. Any other command runs as in the base image, without XSched.
#
#   XSCHED_REQUIRED               ON: refuse to serve unscheduled; OFF: serve anyhow; unset: ON if there is a GPU
#   XSCHED_TRITON_DRAIN_SECONDS   how long the health check fails, and Triton still serves, before Triton is stopped
#   AIP_MODE                      set by Vertex AI: what is given are arguments of tritonserver
#
# -p: without BASH_ENV, by which NVIDIA's images make every Bash begin with their check of the GPU. The base's own
# entrypoint does that, once.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What healthcheck.sh reads.
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

# gpu_property NAME…: of each GPU that the container sees, one line.
gpu_property() {
  timeout 20 nvidia-smi "--query-gpu=$(IFS=, && printf '%s' "$*")" --format=csv,noheader 2>/dev/null
}

# nvidia-smi is missing where NVIDIA_DRIVER_CAPABILITIES leaves it out; the devices are there nevertheless.
gpu_visible() {
  gpu_property name >/dev/null || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]
}

library_path() {
  printf '%s' "$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# cuda_library PATH [PRELOAD]: which file the loader takes for libcuda.so.1, with PATH for LD_LIBRARY_PATH.
cuda_library() {
  LD_LIBRARY_PATH=$1 LD_PRELOAD="${2:+$2:}libcuda.so.1" LD_TRACE_LOADED_OBJECTS=1 \
    /bin/sleep 0 2>/dev/null | sed -nE 's/^[[:space:]]*(libcuda\.so\.1 => )?(\/.*\/libcuda\.so[^ ]*) .*$/\2/p' | head -n 1
}

check_library() {
  local found
  # Also if something else is loaded before.
  found=$(cuda_library "$(library_path)" "${LD_PRELOAD-}") || true
  [ "$found" = "$root/lib/libcuda.so.1" ] || problem \
    "CUDA would use ${found:-no libcuda.so.1 at all} in place of $root/lib/libcuda.so.1" \
    "take LD_PRELOAD out of the container's environment, and build the image again if the file is missing"
}

# Without the shim's own folder in it.
path_without_shim() {
  local folder path=""
  while IFS= read -r -d : folder; do
    [ "$folder" -ef "$root/lib" ] || path+=${path:+:}$folder
  done <<<"${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}"
  printf '%s' "$path"
}

# That CUDA begins under the shim, on the driver that it would use without. Sets "driver", for the health check: "-" if
# any will do.
check_driver() {
  local said used
  if [ -z "${XSCHED_CUDA_LIB-}" ]; then
    driver=$(cuda_library "$(path_without_shim)") || true
  fi
  driver=${driver:--}
  if ! said=$(LD_LIBRARY_PATH=$(library_path) timeout 60 "$root/bin/xsched-ctl" check 2>&1); then
    problem "CUDA does not start under XSched: ${said##*$'\n'}" \
      "see whether 'nvidia-smi' works in the container; the host's driver must fit the image's CUDA, or its compat package"
    return
  fi
  used=$(sed -n 's/^driver  *//p' <<<"$said")
  [ "$driver" = - ] || [ "$used" -ef "$driver" ] || problem \
    "XSched would use the driver $used, CUDA without it $driver" \
    "set XSCHED_CUDA_LIB to $driver"
}

check_settings() {
  [ "${XSCHED_POLICY:-HPF}" = HPF ] || problem \
    "XSCHED_POLICY is '$XSCHED_POLICY', which schedules no models" "set it to HPF, or leave it out"
  [ "${XSCHED_SCHEDULER:-LCL}" = LCL ] || problem \
    "XSCHED_SCHEDULER is '$XSCHED_SCHEDULER', but only tritonserver itself can schedule its models" \
    "set it to LCL, or leave it out"
  case ${XSCHED_CONTROL:-ON} in
    [Oo][Ff][Ff] | 0) problem \
      "XSCHED_CONTROL is '$XSCHED_CONTROL', so that nobody can ask whether Triton is scheduled" "set it to ON, or leave it out" ;;
  esac
}

# The version of the TensorRT that the base has, from the name of its library; nothing if there is none.
tensorrt_version() {
  local folder file
  while IFS= read -r -d : folder; do
    for file in "$folder"/libnvinfer.so.*.*.*; do
      [ ! -e "$file" ] || { printf '%s' "${file##*/libnvinfer.so.}" && return; }
    done
  done <<<"${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/lib/x86_64-linux-gnu:/usr/lib64:/usr/local/tensorrt/lib:"
}

# tensorrt_capabilities VERSION: the compute capabilities that it makes engines for, as far as NVIDIA's images run on
# them: https://docs.nvidia.com/deeplearning/tensorrt/support-matrix, TensorRT issue 2727. Nothing if that is not known.
tensorrt_capabilities() {
  case $1 in
    8.[0-4].*) printf '7.0 7.5 8.0 8.6' ;;
    8.[56].* | 9.* | 10.[0-4].*) printf '7.0 7.5 8.0 8.6 8.9 9.0' ;;
  esac
}

check_gpus() {
  local line version capabilities
  if ! gpu_visible; then
    problem "no GPU is visible in the container" \
      "run it with --gpus all on a host with an NVIDIA driver and the NVIDIA container toolkit"
    return
  fi
  check_driver
  [ "${XSCHED_TRITON_VARIANT-}" = patched ] || return 0
  version=$(tensorrt_version)
  capabilities=$(tensorrt_capabilities "$version")
  [ -n "$capabilities" ] || return 0
  # Drivers before 510 do not tell; those GPUs are old enough.
  while IFS= read -r line; do
    [ -z "$line" ] || [[ " $capabilities " == *" ${line##*, } "* ]] || problem \
      "this image's TensorRT $version knows no GPU like ${line%, *} (compute capability ${line##*, })" \
      "use a GPU of compute capability ${capabilities// /, }, or build the variant transparent on a newer Triton"
  done < <(gpu_property name compute_cap || true)
}

# Sets "required"; dies if Triton must be scheduled and cannot be.
check_scheduling() {
  local index
  driver=-
  case ${XSCHED_REQUIRED-} in
    [Oo][Nn] | 1) required=ON ;;
    [Oo][Ff][Ff] | 0) required=OFF ;;
    '') if gpu_visible; then required=ON; else required=OFF; fi ;;
    *) die "XSCHED_REQUIRED is '$XSCHED_REQUIRED'" "set it to ON or OFF, or leave it out" ;;
  esac
  check_library
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
    printf 'Triton is not started, because XSCHED_REQUIRED is %s (scheduler.required in the settings of the stack).\n' \
      "${XSCHED_REQUIRED:-ON by default on a GPU}" >&2
    exit 1
  fi
}

# find_http ARGUMENT…: sets "address" and "port", where this tritonserver is reached over HTTP inside the container.
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

# Triton refuses requests from the moment on at which it gets the signal. Only the first one counts: another would make
# it drop the requests that it still works on.
# shellcheck disable=SC2317  # called by a signal
drain_and_stop() {
  interrupted=yes
  # Too early: it is called again.
  [ -n "$server" ] || return 0
  trap '' TERM INT
  touch "$state/draining" 2>/dev/null || true
  if [ "$drain" -gt 0 ]; then
    printf 'entrypoint: serving for another %s s, reported as unhealthy\n' "$drain" >&2
    sleep "$drain" &
    # Triton may end by itself meanwhile.
    wait -n "$!" "$server" || true
  fi
  kill -TERM "$server" 2>/dev/null || true
}

run_tritonserver() {
  local environment status=0
  # The patched backend reads it, too.
  environment=("XSCHED_REQUIRED=$required")
  # Without a driver the core could but complain, in each process.
  if gpu_visible; then
    environment+=("LD_LIBRARY_PATH=$(library_path)" "XSCHED_POLICY=${XSCHED_POLICY:-HPF}")
    [ "${XSCHED_TRITON_VARIANT-}" != transparent ] || environment+=("XSCHED_AUTO_XQUEUE=${XSCHED_AUTO_XQUEUE:-ON}")
  fi

  find_http "$@"
  mkdir -p "$state"
  rm -f "$state/draining" "$state/server"
  server="" interrupted=""
  trap drain_and_stop TERM INT
  env "${environment[@]}" "$@" &
  server=$!
  [ -z "$interrupted" ] || drain_and_stop
  # Complete as soon as it is there.
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

# On Vertex AI, NVIDIA's entrypoint makes a tritonserver of its own out of whatever it is given, so it must not know.
if [ -n "${AIP_MODE-}" ]; then
  case ${1-} in
    '' | -*) set -- tritonserver "$@" ;;
  esac
  export XSCHED_TRITON_AIP_MODE=$AIP_MODE
  unset AIP_MODE
fi
[ $# -gt 0 ] || die "no command was given" "docker run … IMAGE tritonserver --model-repository=/models"
# The base's own entrypoint, which sets up the driver, and then comes back here.
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
