# shellcheck shell=bash
# What every host script shares: messages, the host directory, locks. Sourced, never run.

set -euo pipefail
umask 022
# A peer that hangs up must be an error that we can report, not the end of the script.
trap '' PIPE

progress() {
  printf '%s\n' "$*" >&2
}

# die WHAT FIX: the only way in which a script fails.
die() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

# Every path below belongs to one host directory; a relative one would depend on where a shell starts.
use_host_directory() {
  DIR=${1%/}
  case $DIR in
    /?*) ;;
    *) die "the host directory must be an absolute path, not '$1'" "pass the path that probe-host.sh prints" ;;
  esac
  case $DIR in
    *[[:cntrl:]]*) die "the host directory contains a control character" "choose another path" ;;
  esac
}

# A model name or a digest becomes part of a path that we remove: it must be one plain path segment.
require_path_segment() {
  local what=$1 value=$2
  case $value in
    '' | .* | */* | *[[:cntrl:]]*) die "'$value' is not a $what" "use letters, digits, '_', '-' and '.', not starting with '.'" ;;
  esac
}

# A short name for this directory, for what must be unique on the whole machine (shared memory, containers).
host_identity() {
  local sum
  sum=$(printf '%s' "$DIR" | sha256sum)
  printf '%s' "${sum:0:12}"
}

# lock NAME [shared|exclusive]: held until the script ends. The file descriptor must not reach a process
# that outlives the script: see supervise-server.sh.
lock() {
  local name=$1 mode=${2:-exclusive} descriptor waited=0
  mkdir -p "$DIR/locks"
  exec {descriptor}>"$DIR/locks/$name"
  until flock "--$mode" --timeout 5 "$descriptor"; do
    waited=$((waited + 5))
    [ "$waited" -lt 900 ] || die "another deployment has been using $DIR for $waited s" "wait for it to end, then try again"
    progress "waiting for another deployment that uses $DIR ($waited s)"
  done
}

# json_string TEXT: TEXT as a JSON string, in quotes.
json_string() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/\\t}
  text=${text//$'\r'/\\r}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}
