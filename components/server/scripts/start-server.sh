#!/usr/bin/env bash
# start-server.sh DIR process|container [IMAGE]: makes DIR's server run with the settings on stdin.
# Does nothing if it does already. If it fails, the server that ran before runs again.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$here/server-lifecycle.sh"
# shellcheck source=components/server/scripts/host-ports.sh
. "$here/host-ports.sh"

[ $# -ge 2 ] || die "start-server.sh takes two or three arguments, got $#" "start-server.sh DIR process|container [IMAGE]"
use_host_directory "$1"
read_settings
SETTING[kind]=$2
case $2 in
  process)
    SETTING[runtime]=$(readlink "$DIR/runtime/current") ||
      die "Triton is not installed in $DIR" "run install-triton.sh first"
    ;;
  container)
    SETTING[image]=${3-}
    [[ ${SETTING[image]} == *@sha256:* ]] ||
      die "the image '${SETTING[image]}' has no digest" "name it as repository@sha256:DIGEST"
    require_image "${SETTING[image]}"
    ;;
  *) die "'$2' is not a runtime" "use process or container" ;;
esac

mkdir -p "$DIR/models/repository" "$DIR/models/store"
lock server
wanted=$(write_settings)
if server_running && [ "$(running_settings "$wanted")" = "$(running_settings "$(<"$DIR/server/settings")")" ] &&
  wait_until_live; then
  printf '%s\n' "$wanted" >"$DIR/server/settings"
  [ "$2" != container ] || link_container_log
  print_server '[]'
  exit 0
fi
require_free_ports

serving_before=""
previous=""
if [ -r "$DIR/server/settings" ]; then
  previous=$(<"$DIR/server/settings")
  serving_before=$(ready_models)
  progress "stopping the server to start it with new settings"
  stop_server "$(stop_seconds)"
fi

if ! launch_server "$wanted"; then
  problem="Triton cannot be started (the reason is above)"
elif ! wait_until_live; then
  problem="Triton does not start with these settings (its last lines are above)"
  server_log 25 >&2
elif ! require_scheduling; then
  problem="scheduling is required and not active; use an image with the XSched core, or set scheduler.required to false"
else
  missing=$(models_not_ready)
  # Only a model that served until now is a reason to go back: one that was bad before waits for its own fix.
  lost=$(comm -12 <(sort <<<"$missing") <(sort <<<"$serving_before") | sed '/^$/d')
  if [ -z "$lost" ]; then
    while IFS= read -r model; do
      [ -z "$model" ] || progress "warning: the model $model is not ready: $(triton_model_reason "$model")"
    done <<<"$missing"
    remove_unused_runtimes
    print_server "$(json_list "$missing")"
    exit 0
  fi
  while IFS= read -r model; do
    progress "the model $model does not load any more: $(triton_model_reason "$model")"
  done <<<"$lost"
  problem="with the new settings these models do not load: ${lost//$'\n'/, }"
fi

stop_server "$(stop_seconds)"
if [ -z "$previous" ]; then
  rm -rf "$DIR/server"
  die "$problem" "correct the settings and deploy again"
fi
progress "starting the server again with the settings that it had before"
read_settings <<<"$previous"
if launch_server "$previous" && wait_until_live; then
  die "$problem; the server runs again with its previous settings" "correct the settings and deploy again"
fi
server_log 25 >&2
die "$problem; the previous settings do not start either" "read the lines above and deploy again"
