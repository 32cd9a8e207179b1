# shellcheck shell=bash
# Whether the server's ports are free, told from /proc/net, which every Linux has. Needs server-process.sh and
# server-lifecycle.sh. Sourced, never run.

# listening_inodes PORT: the sockets that listen on a port.
listening_inodes() {
  local hexadecimal
  printf -v hexadecimal '%04X' "$1"
  awk -v port=":$hexadecimal" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# socket_holder INODE: the pid of the process that has it open, if we may see it.
socket_holder() {
  local link
  link=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$1\\]" -print -quit 2>/dev/null) || true
  link=${link#/proc/}
  printf '%s' "${link%%/*}"
}

# The ports that our container has. It is Docker that listens there, so its processes do not tell.
container_ports() {
  [ "$(deployed_kind)" != container ] || sed -n 's/^\(http\|grpc\|metrics\)Port //p' "$DIR/server/settings"
}

# Dies if another program has one of the ports of SETTING. Our own server's do not count: it is about to stop.
require_free_ports() {
  local key inode holder ours published
  ours=" $(runtime_processes '*' | tr '\n' ' ')"
  published=" $(container_ports | tr '\n' ' ')"
  for key in httpPort grpcPort metricsPort; do
    [[ $published != *" ${SETTING[$key]} "* ]] || continue
    while IFS= read -r inode; do
      [ -n "$inode" ] || continue
      holder=$(socket_holder "$inode")
      [ -z "$holder" ] || [[ $ours != *" $holder "* ]] || continue
      die "the port ${SETTING[$key]} ($key) is in use by ${holder:+process $holder: $(tr '\0' ' ' <"/proc/$holder/cmdline")}${holder:-a process of another user}" \
        "stop that program, or set server.$key to a free port"
    done < <(listening_inodes "${SETTING[$key]}")
  done
}
