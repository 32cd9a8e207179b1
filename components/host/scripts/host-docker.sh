# shellcheck shell=bash
# Docker on this host: long jobs, and images. Needs host-directory.sh. Sourced, never run.

# shellcheck source=components/host/scripts/host-images.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-images.sh"

# await_job PID DESCRIBE: waits for a child and, every five seconds, says what DESCRIBE SECONDS prints.
await_job() {
  local began=$SECONDS shown=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - began - shown)) -ge 5 ]; then
      shown=$((SECONDS - began))
      progress "$("$2" "$shown")"
    fi
  done
  wait "$1"
}

describe_pull() {
  local layers
  # Docker draws its progress bars on a terminal only; without one it names each layer at each of its stages.
  layers=$(grep -c ': Pulling fs layer$' "$PULL_LOG") || true
  printf 'pulling the image (%s s; %s of %s layers)' "$1" "$(grep -cE ': (Pull complete|Already exists)$' "$PULL_LOG")" \
    "$((layers + $(grep -c ': Already exists$' "$PULL_LOG" || true)))"
}

# require_image IMAGE [FIX]: dies unless Docker works here and has the image. Nothing that runs is touched until then. FIX
# says what to do if the registry does not give it.
require_image() {
  local message fix
  command -v docker >/dev/null || die "Docker is not installed on this host" "install Docker, or use the process runtime"
  message=$(docker version --format '{{.Server.Version}}' 2>&1) ||
    die "Docker does not answer: $message" "start Docker, and allow $(id -un) to use it (group docker)"
  ! docker image inspect "$1" >/dev/null 2>&1 || return 0
  progress "pulling the image $1"
  PULL_LOG=$(mktemp)
  docker pull "$1" >"$PULL_LOG" 2>&1 &
  if ! await_job $! describe_pull; then
    message=$(tail -n 1 "$PULL_LOG")
    rm -f "$PULL_LOG"
    fix=${2:-"check its name and digest, whether this host reaches its registry, and the log-in (runtime.registry, or docker login here)"}
    [[ $message != *'no space left'* ]] || fix="free some of Docker's disk space on this host; 'docker system df' shows what uses it"
    die "Docker cannot pull the image $1: $message" "$fix"
  fi
  rm -f "$PULL_LOG"
  record_pulled_image "$1"
}
