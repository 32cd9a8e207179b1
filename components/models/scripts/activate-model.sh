#!/usr/bin/env bash
# activate-model.sh DIR MODEL DIGEST: makes the server serve the stored model DIGEST.
# A model that is served keeps being served without a failed request, even if the new one cannot be loaded.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/triton-api.sh
. "$here/triton-api.sh"

[ $# -eq 3 ] || die "activate-model.sh takes three arguments, got $#" "activate-model.sh DIR MODEL DIGEST"
use_host_directory "$1"
model=$2 digest=$3
require_path_segment "model name" "$model"
require_path_segment digest "$digest"
[ -d "$DIR/models/store/$model/$digest" ] || die "the model $model is not stored as $digest" "run store-model.sh first"

# A restart of the server would read the links while they change; other models may be activated meanwhile.
lock server shared
lock "model-$model"
triton_address || die "no Triton server is deployed in $DIR" "run start-server.sh first"
# From the server's settings, not an argument: how long to wait is not a property of a model.
timeout=$(sed -n 's/^loadTimeoutSeconds //p' "$DIR/server/settings")

link=$DIR/models/repository/$model
previous=$(readlink "$link" 2>/dev/null) || previous=""
wanted=../store/$model/$digest

print_active() {
  printf '{"model":%s,"version":%s,"ready":true}\n' "$(json_string "$model")" "$(json_string "$(triton_model_version "$model")")"
}

# point_at TARGET: renaming a link over another is atomic; whoever opens the model sees either the old or the new one.
point_at() {
  local new=$DIR/models/.link-$model
  ln -sfn "$1" "$new"
  mv -T "$new" "$link"
}

http_waiting() {
  progress "loading the model $model ($1 s)"
}

load() {
  touch_model_config "$model"
  triton_request POST "/v2/repository/models/$model/load" "$1" && [ "$HTTP_STATUS" = 200 ]
}

if [ "$previous" = "$wanted" ] && triton_model_ready "$model"; then
  print_active
  exit 0
fi
triton_live || die "Triton does not answer at $TRITON_ADDRESS" "see the log in $DIR/server/logs and run start-server.sh"

was_ready=false
! triton_model_ready "$model" || was_ready=true
point_at "$wanted"
if load "$timeout" && triton_model_ready "$model"; then
  print_active
  exit 0
fi

if [ "$HTTP_STATUS" = 0 ]; then
  reason="it did not finish loading within $timeout s"
else
  reason=$(triton_error)
fi
if [ "$was_ready" = true ]; then
  point_at "$previous"
  # Only a load that is still in progress could replace what is served.
  [ "$HTTP_STATUS" != 0 ] || load "$timeout" || true
  outcome="the version that served before still serves"
else
  if [ -n "$previous" ]; then point_at "$previous"; else rm -f "$link"; fi
  triton_request POST "/v2/repository/models/$model/unload" 30 || true
  outcome="it does not serve; the other models are not affected"
fi
die "Triton cannot load the model $model: $reason" "correct the model and deploy again; $outcome"
