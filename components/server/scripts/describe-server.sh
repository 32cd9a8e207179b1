#!/usr/bin/env bash
# describe-server.sh DIR: what is deployed and what it serves, as one JSON document.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$here/server-lifecycle.sh"

[ $# -eq 1 ] || die "describe-server.sh takes one argument, got $#" "describe-server.sh DIR"
use_host_directory "$1"

# describe_model NAME
describe_model() {
  local version="" priority=null ready=false reason="" inputs="[]"
  local pattern='"xsched_priority":\{"string_value":"(-?[0-9]+)"\}'
  local inputs_pattern='"inputs":(\[.*\]),"outputs":'
  if [ "$running" = true ]; then
    if triton_model_ready "$1"; then
      ready=true
      version=$(triton_model_version "$1") || true
      if triton_request GET "/v2/models/$1/config" 10 && [[ $HTTP_BODY =~ $pattern ]]; then
        priority=${BASH_REMATCH[1]}
      fi
      if triton_request GET "/v2/models/$1" 10 && [[ $HTTP_BODY =~ $inputs_pattern ]]; then
        inputs=${BASH_REMATCH[1]}
      fi
    else
      reason=$(triton_model_reason "$1")
    fi
  fi
  printf '{"name":%s,"version":%s,"priority":%s,"ready":%s,"reason":%s,"inputs":%s}' \
    "$(json_string "$1")" "$(json_string "$version")" "$priority" "$ready" "$(json_string "$reason")" "$inputs"
}

running=false pid="" version="" models=""
# Whoever answers at the address may be another server that took the port while ours was down, with models of the
# same names.
if triton_address && pid=$(server_pid 2>/dev/null) && [ "${pid:-0}" -gt 0 ] && triton_live; then
  running=true
  version=$(triton_version)
else
  pid=""
fi
while IFS= read -r model; do
  models+=${models:+,}$(describe_model "$model")
done < <(repository_models)
printf '{"running":%s,"pid":%s,"version":%s,"http":%s,"models":[%s]}\n' \
  "$running" "${pid:-null}" "$(json_string "$version")" "$(json_string "$TRITON_ADDRESS")" "$models"
