#!/usr/bin/env bash
# Checks that the image $IMAGE is signed with the key that belongs to $PUBLIC_KEY.
set -euo pipefail

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

command -v cosign >/dev/null ||
  fail "the image's signature cannot be checked: cosign is not installed on this machine" \
    "install cosign 3 (https://docs.sigstore.dev/cosign/system_config/installation/), or remove publicKey"

# A signature by a key that we know needs no public log to be trusted.
cosign verify --key env://PUBLIC_KEY --insecure-ignore-tlog "$IMAGE" </dev/null >/dev/null ||
  fail "the image $IMAGE has no signature of this key: cosign's reason is above" \
    "use an image that is signed with the key, or give the key that it is signed with"
echo verified
