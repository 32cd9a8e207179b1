#!/usr/bin/env bash
# serve-metrics.sh DIR [PORT]: what Triton's own metrics do not say, in Prometheus' text format over HTTP, on this host
# only: whether the server and each model is ready, and what the scheduler counts for each of its queues. Triton counts
# as ready only if every model that is deployed is, and if it is scheduled where that is required.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$here/server-lifecycle.sh"

[ $# -ge 1 ] || die "serve-metrics.sh takes one or two arguments, got $#" "serve-metrics.sh DIR [PORT]"
use_host_directory "$1"
port=${2:-9464}
command -v python3 >/dev/null || die "python3 is not installed on this host" "sudo apt-get install python3"
folder=$DIR/metrics
mkdir -p "$folder"

# Prometheus' form of a label's value is that of JSON, as far as a model's name goes.
ready_metrics() {
  local model ready=0 all=1
  printf '# TYPE xsched_triton_model_ready gauge\n'
  while IFS= read -r model; do
    if triton_model_ready "$model"; then
      printf 'xsched_triton_model_ready{model=%s} 1\n' "$(json_string "$model")"
    else
      printf 'xsched_triton_model_ready{model=%s} 0\n' "$(json_string "$model")"
      all=0
    fi
  done < <(repository_models)
  if [ "$all" = 1 ] && triton_live && { [ "$(deployed_kind)" != container ] || container_healthy; }; then
    ready=1
  fi
  printf '# TYPE xsched_triton_ready gauge\nxsched_triton_ready %s\n' "$ready"
}

# The image knows whether its Triton is scheduled. An image without a health check does not say.
container_healthy() {
  local health
  health=$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' "$(container_name)" 2>/dev/null) || return 1
  [ "$health" = healthy ] || [ "$health" = none ]
}

# Those of tritonserver, not of its child processes.
scheduler_metrics() {
  [ "$(deployed_kind)" = container ] || return 0
  # shellcheck disable=SC2016  # expands in the container
  docker exec "$(container_name)" sh -c 'read -r pid <"$1/server" && cat "$1/metrics-$pid"' - "$CONTAINER_STATE" 2>/dev/null || true
}

# A host without a server reports nothing, which counts as not ready.
write_metrics() {
  if triton_address; then
    { ready_metrics && scheduler_metrics; } >"$folder/.new"
    mv -T "$folder/.new" "$folder/metrics.txt"
  else
    rm -f "$folder/metrics.txt"
  fi
}

rm -f "$folder/metrics.txt"
python3 -m http.server --bind 127.0.0.1 --directory "$folder" "$port" >/dev/null 2>&1 &
http=$!
trap 'kill "$http" 2>/dev/null || true' EXIT
trap 'exit 0' TERM INT
while kill -0 "$http" 2>/dev/null; do
  write_metrics
  sleep 15 &
  wait -n $! "$http" || true
done
die "nothing can listen at port $port" "see what uses the port: ss -ltnp 'sport = :$port'"
