#!/usr/bin/env bash
# reload-model.sh DIR MODEL: loads a model that is served again, as it is deployed or, if there is anything on stdin,
# with the model configuration (JSON) that stands there in place of its config.pbtxt, until it is loaded the next time.
# A load that fails changes nothing.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/triton-api.sh
. "$here/triton-api.sh"

[ $# -eq 2 ] || die "reload-model.sh takes two arguments, got $#" "reload-model.sh DIR MODEL"
use_host_directory "$1"
model=$2
require_path_segment "model name" "$model"
config=$(cat)

lock server shared
lock "model-$model"
triton_address || die "no Triton server is deployed in $DIR" "deploy the stack"
[ -L "$DIR/models/repository/$model" ] || die "the model $model is not deployed in $DIR" "add it to the stack's models"
timeout=$(sed -n 's/^loadTimeoutSeconds //p' "$DIR/server/settings")

http_waiting() {
  progress "loading the model $model ($1 s)"
}

body=""
[ -z "$config" ] || body='{"parameters":{"config":'$(json_string "$config")'}}'
touch_model_config "$model"
if ! triton_request POST "/v2/repository/models/$model/load" "$timeout" "$body" || [ "$HTTP_STATUS" != 200 ]; then
  die "Triton cannot load the model $model: $(triton_error)" "see the log in $DIR/server/logs; what was served before is still served"
fi
