#!/usr/bin/env bash
# fetch-model.sh DIR MODEL FILES_DIGEST s3://BUCKET/PREFIX: puts a model's files into the store, where store-model.sh
# finds them. stdin: one object a line, ETAG BYTES PATH, below the prefix; a path that ends in / is an empty folder.
# Only what the host does not have is fetched. Only a complete set gets the name files-FILES_DIGEST; what an interrupted
# run has fetched is used by the next. Beside it, files-FILES_DIGEST.objects says what was fetched:
# ETAG BYTES VERSION CHECK PATH, where CHECK is folder for a folder.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/models/scripts/s3-objects.sh
. "$here/s3-objects.sh"

[ $# -eq 4 ] || die "fetch-model.sh takes four arguments, got $#" "fetch-model.sh DIR MODEL FILES_DIGEST s3://BUCKET/PREFIX"
use_host_directory "$1"
model=$2 files_digest=$3 source=$4
require_path_segment "model name" "$model"
require_path_segment digest "$files_digest"
[[ $source =~ ^s3://([^/]+)/(.+)$ ]] || die "'$source' is not an S3 location" "use s3://bucket/prefix"
BUCKET=${BASH_REMATCH[1]} prefix=${BASH_REMATCH[2]}
OBJECT=$source

store=$DIR/models/store/$model
files=$store/files-$files_digest
mkdir -p "$store"
lock "model-$model"
[ ! -d "$files" ] || exit 0
require_aws_cli

staging=$store/.fetching
mkdir -p "$staging/files"
touch "$staging/objects"

# What the host has: KNOWN[etag] is "CHECK VERSION FILE". Lines of a run that was killed may be incomplete.
declare -A KNOWN=()
learn() {
  local etag bytes version check path
  while IFS=' ' read -r etag bytes version check path; do
    if [ -n "$path" ] && [ -f "$2/$path" ] && [ "$(stat -c %s "$2/$path")" = "$bytes" ]; then
      KNOWN[$etag]="$check $version $2/$path"
    fi
  done <"$1"
}
for record in "$store"/files-*.objects; do
  [ ! -f "$record" ] || learn "$record" "${record%.objects}"
done
learn "$staging/objects" "$staging/files"

wanted=()
while IFS= read -r line || [ -n "$line" ]; do
  [[ $line =~ ^([A-Za-z0-9+/=_-]+)\ ([0-9]+)\ (.+)$ ]] || die "'$line' does not describe an object" "use ETAG BYTES PATH"
  case "/${BASH_REMATCH[3]%/}/" in
    */../* | */./* | //*) die "'${BASH_REMATCH[3]}' leads out of the model" "rename the object" ;;
  esac
  wanted+=("$line")
done

records=$staging/records
rm -rf "$records" "$staging/errors" "$staging/ready"
mkdir "$records" "$staging/ready"

missing=() missing_bytes=0 index=0
for line in "${wanted[@]}"; do
  IFS=' ' read -r etag bytes path <<<"$line"
  index=$((index + 1))
  target=$staging/ready/$path
  if [[ $path == */ ]]; then
    mkdir -p "$target"
    printf '%s %s - folder %s\n' "$etag" "$bytes" "$path" >"$records/$index"
    continue
  fi
  read -r check version file <<<"${KNOWN[$etag]-}"
  # A corrupt copy is fetched again.
  if [ -n "$file" ] && file_is "$file" "$etag" "$check"; then
    mkdir -p "${target%/*}"
    ln -f "$file" "$target"
    printf '%s %s %s %s %s\n' "$etag" "$bytes" "$version" "$check" "$path" >"$records/$index"
  else
    missing+=("$index $line")
    missing_bytes=$((missing_bytes + bytes))
  fi
done

megabytes() {
  printf '%s MB' $((($1 + 999999) / 1000000))
}

free=$(df --output=avail -B1 "$store" | tail -n 1)
[ "$missing_bytes" -lt "$free" ] ||
  die "the model $model needs $(megabytes "$missing_bytes") more, and $(megabytes "$free") are free in $store" "free some space, or give the host a larger disk"

# One object, in a process of its own. Its record is written when the file is whole.
fetch_one() {
  local index etag bytes path
  IFS=' ' read -r index etag bytes path <<<"$1"
  fetch_object "$prefix/$path" "$etag" "$bytes" "$(version_of "$etag")" "$staging/files/$path"
  printf '%s %s %s %s %s\n' "$etag" "$bytes" "$FETCHED_VERSION" "$FETCHED_CHECK" "$path" >"$records/$index.new"
  cat "$records/$index.new" >>"$staging/objects"
  mkdir -p "$(dirname "$staging/ready/$path")"
  ln -f "$staging/files/$path" "$staging/ready/$path"
  mv -T "$records/$index.new" "$records/$index"
}

# What refill-models.sh knows of an object that has been fetched before.
version_of() {
  local found=""
  [ ! -r "${XSCHED_TRITON_VERSIONS-}" ] || found=$(awk -v etag="$1" '$1 == etag { print $3; exit }' "$XSCHED_TRITON_VERSIONS")
  printf '%s' "${found:--}"
}

if [ ${#missing[@]} -gt 0 ]; then
  progress "fetching $(megabytes "$missing_bytes") of the model $model from $source (${#missing[@]} of ${#wanted[@]} objects)"
  (
    trap 'kill "$sleeper" 2>/dev/null; exit' TERM
    # This script may be killed; its end must not leave a process behind.
    while kill -0 $$ 2>/dev/null; do
      sleep 5 &
      sleeper=$!
      wait "$sleeper"
      progress "fetching the model $model: $(megabytes "$(du -sb "$staging/files" | cut -f 1)") are here"
    done
  ) &
  ticker=$!
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  running=0 failed=""
  for line in "${missing[@]}"; do
    # Four at a time: many models have one large file and a few small ones.
    if [ "$running" -ge 4 ]; then
      wait -n || failed=yes
      running=$((running - 1))
    fi
    [ -z "$failed" ] || break
    (
      trap - EXIT
      fetch_one "$line"
    ) 2>>"$staging/errors" &
    running=$((running + 1))
  done
  while [ "$running" -gt 0 ]; do
    wait -n || failed=yes
    running=$((running - 1))
  done
  kill "$ticker" 2>/dev/null || true
  trap - EXIT
  if [ -n "$failed" ]; then
    # One reason will do: the others are mostly the same.
    grep -v -e "^error:" -e "^fix:" "$staging/errors" >&2 || true
    grep -m 1 '^error:' "$staging/errors" >&2 || true
    grep -m 1 '^fix:' "$staging/errors" >&2 || true
    exit 1
  fi
  grep '^[^ef]' "$staging/errors" >&2 || true
fi

chmod -R u+rwX,go+rX,go-w "$staging/ready"
find "$records" -type f -exec cat {} + >"$files.objects"
mv -T "$staging/ready" "$files"
rm -rf "$staging"
