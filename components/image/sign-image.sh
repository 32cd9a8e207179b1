#!/usr/bin/env bash
# Signs the image $IMAGE in its registry with $KEY, a key service's or the one in $SIGNING_KEY. Only if $TRANSPARENCY_LOG
# is true, it is recorded in a public log.
set -euo pipefail

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

command -v cosign >/dev/null ||
  fail "the image is not signed: cosign is not installed on this machine" \
    "install cosign 3 (https://docs.sigstore.dev/cosign/system_config/installation/), or remove the signature"

words=(sign --yes --key "$KEY")
if [ "$TRANSPARENCY_LOG" != true ]; then
  services=$(mktemp -d)
  trap 'rm -rf "$services"' EXIT
  # Nobody else is asked: neither a log, nor a time stamp, nor the keys of Sigstore's own services.
  echo '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}' \
    >"$services/signing-config.json"
  echo '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' >"$services/trusted-root.json"
  words+=(--signing-config "$services/signing-config.json" --trusted-root "$services/trusted-root.json")
fi
cosign "${words[@]}" "$IMAGE" </dev/null >&2 ||
  fail "the image $IMAGE is not signed: cosign's reason is above" \
    "check the key and its password, whether it is cosign 3 (cosign version), and whether the login may push"
echo signed
