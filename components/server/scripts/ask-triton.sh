#!/usr/bin/env bash
# ask-triton.sh DIR METHOD PATH: a request to the HTTP API of the server that is deployed in DIR. Prints the status on
# one line, then the answer's body.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/triton-api.sh
. "$here/triton-api.sh"

[ $# -eq 3 ] || die "ask-triton.sh takes three arguments, got $#" "ask-triton.sh DIR METHOD PATH"
use_host_directory "$1"
triton_address || die "no Triton server is deployed in $DIR" "deploy the stack"
triton_request "$2" "$3" 30 || die "Triton does not answer at $TRITON_ADDRESS" "see the log in $DIR/server/logs"
printf '%s\n%s' "$HTTP_STATUS" "$HTTP_BODY"
