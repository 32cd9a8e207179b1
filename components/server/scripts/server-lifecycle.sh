# shellcheck shell=bash
# Starting, stopping and watching "the server", whichever runtime it has. Needs host-directory.sh.
# SETTING holds the settings of the server that is meant. Sourced, never run.

# shellcheck source=components/server/scripts/server-process.sh
. "$(dirname "${BASH_SOURCE[0]}")/server-process.sh"
# shellcheck source=components/server/scripts/server-container.sh
. "$(dirname "${BASH_SOURCE[0]}")/server-container.sh"

# The recorded runtime of the server that is deployed now.
deployed_kind() {
  sed -n 's/^kind //p' "$DIR/server/settings" 2>/dev/null || true
}

server_running() {
  case $(deployed_kind) in
    process) supervisor_pid >/dev/null ;;
    container) container_running ;;
    *) return 1 ;;
  esac
}

server_pid() {
  case $(deployed_kind) in
    process) triton_pid ;;
    container) container_pid ;;
  esac
}

server_log() {
  case $(deployed_kind) in
    process) process_log "$1" ;;
    container) container_log "$1" ;;
  esac
}

# launch_server SETTINGS: records them and starts the server; SETTING holds the same.
launch_server() {
  mkdir -p "$DIR/server"
  printf '%s\n' "$1" >"$DIR/server/settings"
  settings_http_address >"$DIR/server/http"
  printf '\n' >>"$DIR/server/http"
  case ${SETTING[kind]} in
    process) launch_process ;;
    container) launch_container ;;
  esac
}

# stop_seconds: how long what is deployed may take to end, by its settings.
stop_seconds() {
  local timeout drain
  timeout=$(sed -n 's/^exitTimeoutSeconds //p' "$DIR/server/settings" 2>/dev/null) || true
  drain=$(sed -n 's/^drainSeconds //p' "$DIR/server/settings" 2>/dev/null) || true
  printf '%s' $((${timeout:-30} + ${drain:-0} + 10))
}

# stop_server SECONDS: ends what is deployed, in this time, and leaves its settings in place.
stop_server() {
  case $(deployed_kind) in
    process) stop_process "$1" ;;
    container)
      stop_container "$1" ||
        die "Docker does not remove the container $(container_name)" "see 'docker ps' on the host, start Docker and deploy again"
      ;;
    # The record is lost, for example because the disk was full: whatever has our name is ours.
    *)
      stop_process "$1"
      ! command -v docker >/dev/null || stop_container "$1" || true
      ;;
  esac
}

server_failed() {
  case ${SETTING[kind]} in
    process) process_failed ;;
    container) container_failed ;;
  esac
}

# Fails, and says why, if models would run on a GPU unscheduled although they must not.
require_scheduling() {
  if [ "${SETTING[kind]}" = container ] && scheduling_required && ! container_scheduled; then
    progress "the models of ${SETTING[image]} would run unscheduled"
    return 1
  fi
}

# Triton opens its port only when the models that it starts with are loaded.
wait_until_live() {
  local began=$SECONDS shown=0
  triton_address
  until triton_live; do
    if server_failed || [ $((SECONDS - began)) -ge "${SETTING[loadTimeoutSeconds]}" ]; then
      return 1
    fi
    if [ $((SECONDS - began - shown)) -ge 5 ]; then
      shown=$((SECONDS - began))
      progress "waiting for Triton to load its models ($shown s)"
    fi
    sleep 0.1
  done
}

ready_models() {
  local model
  triton_address || return 0
  while IFS= read -r model; do
    ! triton_model_ready "$model" || printf '%s\n' "$model"
  done < <(repository_models)
}

models_not_ready() {
  local model
  while IFS= read -r model; do
    triton_model_ready "$model" || printf '%s\n' "$model"
  done < <(repository_models)
}

json_list() {
  local line list=""
  while IFS= read -r line; do
    [ -z "$line" ] || list+=${list:+,}$(json_string "$line")
  done <<<"$1"
  printf '[%s]' "$list"
}

# print_server NOT_READY: what start-server.sh answers.
print_server() {
  printf '{"pid":%s,"version":%s,"notReady":%s}\n' "$(server_pid)" "$(json_string "$(triton_version)")" "$1"
}

# An upgrade leaves behind what it replaced, whether an image or an installation.
remove_unused_runtimes() {
  local folder current
  [ "${SETTING[kind]}" != container ] || keep_image "${SETTING[image]}"
  current=$(readlink "$DIR/runtime/current") || return 0
  for folder in "$DIR"/runtime/triton-*; do
    [ "${folder##*/}" = "$current" ] || rm -rf "$folder"
  done
}
