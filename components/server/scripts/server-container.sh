# shellcheck shell=bash
# The container of the container runtime. Needs host-directory.sh. Sourced, never run.

# shellcheck source=components/host/scripts/host-docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-docker.sh"
# shellcheck source=components/server/scripts/server-settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/server-settings.sh"

# Where the container has the models, whatever the host directory is called: Triton's Python backend pastes paths
# into a shell command without quotes.
CONTAINER_DIRECTORY=/xsched-triton

# Where the image keeps what it knows about its Triton; see images/triton/entrypoint.sh.
CONTAINER_STATE=/tmp/xsched-triton

container_name() {
  printf 'xsched-triton-%s' "$(host_identity)"
}

# How often Docker had restarted the container when we began to watch it.
CONTAINER_RESTARTS=0

# Also true while Docker restarts it.
container_running() {
  local state
  state=$(docker inspect --format '{{.State.Running}} {{.RestartCount}}' "$(container_name)" 2>/dev/null) || return 1
  CONTAINER_RESTARTS=${state#* }
  [ "${state% *}" = true ]
}

container_pid() {
  docker inspect --format '{{.State.Pid}}' "$(container_name)"
}

# container_log LINES: the last ones, without the pages of usage that Triton prints when it refuses an argument.
container_log() {
  docker logs "$(container_name)" 2>&1 | sed '/^Usage: tritonserver/,$d' | tail -n "$1" || true
}

# An ended server shows in its restarts, since Docker restarts it before it can be seen as ended.
container_failed() {
  local restarts
  restarts=$(docker inspect --format '{{.RestartCount}}' "$(container_name)" 2>/dev/null) || return 0
  [ "$restarts" -gt "$CONTAINER_RESTARTS" ]
}

host_has_gpu() {
  timeout 20 nvidia-smi >/dev/null 2>&1
}

# Whether the models of this container must not run unscheduled.
scheduling_required() {
  case ${SETTING[schedulerRequired]:-onGpu} in
    always) return 0 ;;
    onGpu) host_has_gpu ;;
    *) return 1 ;;
  esac
}

# Asks the image itself, which asks the scheduler inside tritonserver (images/triton/healthcheck.sh).
container_scheduled() {
  local message
  if ! message=$(docker exec "$(container_name)" /opt/xsched/bin/healthcheck.sh scheduler 2>&1); then
    progress "${message:-the image has no XSched}"
    return 1
  fi
}

launch_container() {
  local arguments=() options=() required=OFF
  local address=${SETTING[address]} megabytes=${SETTING[logMegabytes]}
  local seconds=${SETTING[exitTimeoutSeconds]} drain=${SETTING[drainSeconds]:-0}
  case $address in *:*) address="[${address//[][]/}]" ;; esac
  # The limits are those that NVIDIA advises for its images. A Docker that runs in a container itself, as on CI
  # machines, may not set them.
  ! host_has_gpu || options+=(--gpus all --ulimit memlock=-1 --ulimit stack=67108864)
  ! scheduling_required || required=ON
  common_arguments "$CONTAINER_DIRECTORY"
  arguments+=(
    # The list of models is fixed when the container is made, but it must restart with the models of that time.
    '--load-model=*'
    "--http-port=${SETTING[httpPort]}" "--grpc-port=${SETTING[grpcPort]}" "--metrics-port=${SETTING[metricsPort]}"
    "${EXTRA_ARGUMENTS[@]}"
  )
  docker rm --force "$(container_name)" >/dev/null 2>&1 || true
  CONTAINER_RESTARTS=0
  docker run --detach --name "$(container_name)" --restart unless-stopped \
    --env XSCHED_POLICY=HPF --env "XSCHED_REQUIRED=$required" \
    --env "XSCHED_TRITON_DRAIN_SECONDS=$drain" --env "XSCHED_METRICS_FILE=$CONTAINER_STATE/metrics-%p" \
    --label "xsched-triton.directory=$DIR" \
    --mount "type=bind,\"source=${DIR//\"/\"\"}/models\",target=$CONTAINER_DIRECTORY/models,readonly" \
    --publish "$address:${SETTING[httpPort]}:${SETTING[httpPort]}" \
    --publish "$address:${SETTING[grpcPort]}:${SETTING[grpcPort]}" \
    --publish "$address:${SETTING[metricsPort]}:${SETTING[metricsPort]}" \
    --shm-size 1g \
    --stop-timeout "$((seconds + drain + 10))" \
    --log-driver json-file --log-opt "max-size=$(((megabytes + 1) / 2))m" --log-opt max-file=2 \
    "${options[@]}" "${SETTING[image]}" tritonserver "${arguments[@]}" >/dev/null || return
  link_container_log
}

# link_container_log: DIR/server/logs/container-ID.log leads to what Docker has written down of this container, for
# whoever ships logs, and only while there is the container. Another container has another name there, since a shipper
# notes by name how far it has read; Kubernetes has such links in /var/log/containers for the same purpose.
link_container_log() {
  local found link wanted=""
  found=$(docker inspect --format '{{.Id}} {{.LogPath}}' "$(container_name)" 2>/dev/null) || found=""
  # Docker has no such file with another log driver.
  if [ -n "${found#* }" ]; then
    wanted=$DIR/server/logs/container-${found:0:12}.log
    mkdir -p "${wanted%/*}"
    ln -sfn "${found#* }" "$wanted"
  fi
  for link in "$DIR/server/logs"/container-*.log; do
    [ "$link" = "$wanted" ] || rm -f "$link"
  done
}

describe_stop() {
  printf 'waiting for requests in flight (%s s)' "$1"
}

# Whether Docker itself says so: a Docker that does not answer may still restart the container.
container_gone() {
  local found
  found=$(docker ps --all --quiet --filter "name=^/$(container_name)\$" 2>/dev/null) && [ -z "$found" ]
}

# stop_container GRACE_SECONDS
stop_container() {
  ! container_gone || return 0
  docker stop -t "$1" "$(container_name)" >/dev/null 2>&1 &
  await_job $! describe_stop || true
  docker rm --force "$(container_name)" >/dev/null 2>&1 || true
  container_gone || return
  link_container_log
}
