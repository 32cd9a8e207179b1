# shellcheck shell=bash
# The container of the container runtime. Needs host-directory.sh and server-settings.sh. Sourced, never run.

container_name() {
  printf 'xsched-triton-%s' "$(host_identity)"
}

container_running() {
  [ "$(docker inspect --format '{{.State.Running}}' "$(container_name)" 2>/dev/null)" = true ]
}

container_pid() {
  docker inspect --format '{{.State.Pid}}' "$(container_name)"
}

container_log() {
  docker logs --tail "$1" "$(container_name)" 2>&1 || true
}

# Docker restarts it, so a server that keeps ending is seen by its restarts.
container_failed() {
  local restarts
  restarts=$(docker inspect --format '{{.RestartCount}}' "$(container_name)" 2>/dev/null) || return 0
  [ "$restarts" -gt 0 ]
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

# XSched works through a libcuda.so.1 of its own, in a folder named xsched, which every process with a GPU maps.
container_scheduled() {
  docker exec "$(container_name)" sh -c 'cat /proc/[0-9]*/maps' 2>/dev/null | grep '/xsched/.*libcuda\.so\.1' >/dev/null
}

launch_container() {
  local arguments=() options=() address=${SETTING[address]} megabytes=${SETTING[logMegabytes]} seconds=${SETTING[exitTimeoutSeconds]}
  case $address in *:*) address="[${address//[][]/}]" ;; esac
  ! host_has_gpu || options+=(--gpus all)
  common_arguments "$DIR"
  arguments+=(
    # The list of models is fixed when the container is made, but it must restart with the models of that time.
    '--load-model=*'
    "--http-port=${SETTING[httpPort]}" "--grpc-port=${SETTING[grpcPort]}" "--metrics-port=${SETTING[metricsPort]}"
    "${EXTRA_ARGUMENTS[@]}"
  )
  docker rm --force "$(container_name)" >/dev/null 2>&1 || true
  # The models are mounted where they are on the host, so that links and messages mean the same inside.
  docker run --detach --name "$(container_name)" --restart unless-stopped \
    --env "XSCHED_POLICY=${SETTING[schedulerPolicy]:-HPF}" \
    --label "xsched-triton.directory=$DIR" \
    --mount "type=bind,source=$DIR/models,target=$DIR/models,readonly" \
    --publish "$address:${SETTING[httpPort]}:${SETTING[httpPort]}" \
    --publish "$address:${SETTING[grpcPort]}:${SETTING[grpcPort]}" \
    --publish "$address:${SETTING[metricsPort]}:${SETTING[metricsPort]}" \
    --shm-size 1g --ulimit memlock=-1 --ulimit stack=67108864 \
    --stop-timeout "$((seconds + 10))" \
    --log-driver json-file --log-opt "max-size=$(((megabytes + 1) / 2))m" --log-opt max-file=2 \
    "${options[@]}" "${SETTING[image]}" tritonserver "${arguments[@]}" >/dev/null
}

# stop_container GRACE_SECONDS
stop_container() {
  docker stop --time "$1" "$(container_name)" >/dev/null 2>&1 || true
  docker rm --force "$(container_name)" >/dev/null 2>&1 || true
}
