# shellcheck shell=bash
# The settings of a server, one "key value" a line, and the tritonserver arguments that follow from them.
# Needs host-directory.sh. Sourced, never run.

# Every key, in the order in which settings are recorded.
SETTING_KEYS=(kind runtime image httpPort grpcPort metricsPort address exitTimeoutSeconds drainSeconds logMegabytes
  loadTimeoutSeconds schedulerRequired)

# read_settings: reads stdin into SETTING (by key) and EXTRA_ARGUMENTS (in order).
declare -gA SETTING=()
declare -ga EXTRA_ARGUMENTS=()
read_settings() {
  local key value
  SETTING=() EXTRA_ARGUMENTS=()
  while IFS=' ' read -r key value || [ -n "$key" ]; do
    case $key in
      '') continue ;;
      arg)
        EXTRA_ARGUMENTS+=("$value")
        continue
        ;;
    esac
    [[ " ${SETTING_KEYS[*]} " == *" $key "* ]] ||
      die "unknown server setting '$key'" "allowed: ${SETTING_KEYS[*]:3} arg"
    SETTING[$key]=$value
  done
  for key in httpPort grpcPort metricsPort address exitTimeoutSeconds logMegabytes loadTimeoutSeconds; do
    [ -n "${SETTING[$key]-}" ] || die "the server setting '$key' is missing" "pass '$key VALUE' on stdin"
  done
  for key in "${!SETTING[@]}"; do
    case $key in
      *Port | *Seconds | *Megabytes)
        [[ ${SETTING[$key]} =~ ^[0-9]{1,6}$ ]] ||
          die "the server setting $key is '${SETTING[$key]}'" "use a whole number"
        ;;
    esac
  done
}

# write_settings: the same settings in one fixed form, so that two can be compared.
write_settings() {
  local key
  for key in "${SETTING_KEYS[@]}"; do
    [ -z "${SETTING[$key]-}" ] || printf '%s %s\n' "$key" "${SETTING[$key]}"
  done
  [ ${#EXTRA_ARGUMENTS[@]} -eq 0 ] || printf 'arg %s\n' "${EXTRA_ARGUMENTS[@]}"
}

# running_settings SETTINGS: the part that affects a running server; how long to wait for it does not.
running_settings() {
  sed '/^loadTimeoutSeconds /d' <<<"$1"
}

# Where a client on this host reaches the server.
settings_http_address() {
  local address=${SETTING[address]}
  case $address in
    0.0.0.0) address=127.0.0.1 ;;
    :: | '[::]') address='[::1]' ;;
    *:*) address="[${address//[][]/}]" ;;
  esac
  printf '%s:%s' "$address" "${SETTING[httpPort]}"
}

# What both runtimes have in common; the argument is the host directory as tritonserver sees it. Explicit control lets
# one model change without the others. One bad model must neither keep the others from serving nor make the whole server
# "not ready".
common_arguments() {
  arguments+=(
    "--model-repository=$1/models/repository"
    --model-control-mode=explicit
    --exit-on-error=false
    --strict-readiness=false
    "--exit-timeout-secs=${SETTING[exitTimeoutSeconds]}"
  )
}

# plain_host_directory: the host directory as tritonserver is to see it, seen from the host directory itself.
# Triton's Python backend pastes paths into a shell command without quotes, so one that needs quotes must not
# appear; an absolute path is better where it can be had, since a model may change its working directory.
plain_host_directory() {
  if [[ $DIR =~ ^[A-Za-z0-9/_.,:+@-]+$ ]]; then
    printf '%s' "$DIR"
  else
    printf .
  fi
}

# process_arguments: fills "arguments" for the process runtime, with the models that the repository links now.
process_arguments() {
  local model directory
  directory=$(plain_host_directory)
  common_arguments "$directory"
  while IFS= read -r model; do
    arguments+=("--load-model=$model")
  done < <(repository_models)
  arguments+=(
    "--backend-directory=$directory/runtime/${SETTING[runtime]}/tritonserver/backends"
    "--backend-config=python,shm-region-prefix-name=$(shared_memory_prefix)"
    "--http-address=${SETTING[address]}" "--http-port=${SETTING[httpPort]}"
    "--grpc-address=${SETTING[address]}" "--grpc-port=${SETTING[grpcPort]}"
    "--metrics-address=${SETTING[address]}" "--metrics-port=${SETTING[metricsPort]}"
    "${EXTRA_ARGUMENTS[@]}"
  )
}
