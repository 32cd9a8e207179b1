# shellcheck shell=bash
# Triton's HTTP API, as far as a deployment needs it. Needs host-directory.sh. Sourced, never run.
# Answers are read with patterns instead of a JSON parser, because a host with Docker may have no Python: Triton
# writes them without spaces and in a fixed order, and model names hold no special characters.

# shellcheck source=components/host/scripts/host-http.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-http.sh"

# Where the server of this host directory answers; fails if none is deployed.
triton_address() {
  TRITON_ADDRESS=""
  [ ! -r "$DIR/server/http" ] || read -r TRITON_ADDRESS <"$DIR/server/http"
  [ -n "$TRITON_ADDRESS" ]
}

triton_request() {
  http_request "$TRITON_ADDRESS" "$@"
}

triton_live() {
  triton_request GET /v2/health/live 5 && [ "$HTTP_STATUS" = 200 ]
}

triton_version() {
  triton_request GET /v2 5 || return 1
  local pattern='"version":"([^"]*)"'
  [[ $HTTP_BODY =~ $pattern ]] && printf '%s' "${BASH_REMATCH[1]}"
}

triton_model_ready() {
  triton_request GET "/v2/models/$1/ready" 10 && [ "$HTTP_STATUS" = 200 ]
}

# The highest version of a model that serves now.
triton_model_version() {
  triton_request GET "/v2/models/$1" 10 || return 1
  local pattern='"versions":\["([^]]*)"\]'
  [[ $HTTP_BODY =~ $pattern ]] || return 1
  printf '%s' "${BASH_REMATCH[1]}" | sed 's/","/\n/g' | sort -n | tail -n 1
}

# Triton skips a reload if nothing in the model's folder is newer than at its last load. Files are shared between
# entries of the store, the config is not.
touch_model_config() {
  touch "$DIR/models/repository/$1/config.pbtxt"
}

# What Triton answered, as text for a person.
triton_error() {
  local pattern='"error":"((\\.|[^"\\])*)"'
  if [[ $HTTP_BODY =~ $pattern ]]; then
    printf '%b' "${BASH_REMATCH[1]}"
  elif [ "$HTTP_STATUS" = 0 ]; then
    printf 'Triton did not answer'
  else
    printf 'Triton answered with HTTP status %s' "$HTTP_STATUS"
  fi
}

# Why a model is not ready, from Triton's repository index.
triton_model_reason() {
  triton_request POST /v2/repository/index 10 || return 0
  local pattern='\{"name":"'${1//./\\.}'"(,"version":"[^"]*")?(,"state":"[^"]*")?,"reason":"((\\.|[^"\\])*)"'
  [[ $HTTP_BODY =~ $pattern ]] || return 0
  printf '%b' "${BASH_REMATCH[3]}"
}

# The models whose links say that they are to be served.
repository_models() {
  local link
  for link in "$DIR"/models/repository/*; do
    [ ! -L "$link" ] || printf '%s\n' "${link##*/}"
  done
}
