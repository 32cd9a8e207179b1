#!/usr/bin/env bash
# deactivate-model.sh DIR MODEL: the server stops serving a model, and will not load it when it restarts.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/triton-api.sh
. "$here/triton-api.sh"

[ $# -eq 2 ] || die "deactivate-model.sh takes two arguments, got $#" "deactivate-model.sh DIR MODEL"
use_host_directory "$1"
model=$2
require_path_segment "model name" "$model"
[ -d "$DIR" ] || exit 0
lock server shared
lock "model-$model"

# The link goes first: a server that crashes now comes back without the model.
rm -f "$DIR/models/repository/$model"
triton_address && triton_live || exit 0
if ! triton_request POST "/v2/repository/models/$model/unload" 60 || [ "$HTTP_STATUS" != 200 ]; then
  die "Triton does not unload the model $model: $(triton_error)" "see the log in $DIR/server/logs and try again"
fi
# Triton answers before it is done: it finishes requests in flight first.
waited=0
while triton_model_ready "$model"; do
  [ "$waited" -lt 600 ] || die "Triton has not unloaded the model $model for 60 s" "see the log in $DIR/server/logs and try again"
  waited=$((waited + 1))
  sleep 0.1
done
