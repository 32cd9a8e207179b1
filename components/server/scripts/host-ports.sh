# shellcheck shell=bash
# Whether the server's ports are free, told from /proc/net, which every Linux has. Needs host-directory.sh. Sourced,
# never run.

# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/server-lifecycle.sh"

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

# holder_description PID: who holds a port, so that a person recognizes it; a whole command line would fill the screen.
holder_description() {
  local command
  if [ -z "$1" ]; then
    printf 'a process of another user'
    return
  fi
  # It may have ended meanwhile.
  command=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline") || true
  command=${command% }
  [ "${#command}" -le 120 ] || command="${command:0:119}…"
  printf 'process %s: %s' "$1" "$command"
}

# Dies if other programs have ports of SETTING, and names all of them. Our own server's do not count: it is about to
# stop.
require_free_ports() {
  local key inode holder ours published taken=() keys=()
  ours=" $(runtime_processes '*' | tr '\n' ' ')"
  published=" $(container_ports | tr '\n' ' ')"
  for key in httpPort grpcPort metricsPort; do
    [[ $published != *" ${SETTING[$key]} "* ]] || continue
    while IFS= read -r inode; do
      [ -n "$inode" ] || continue
      holder=$(socket_holder "$inode")
      [ -z "$holder" ] || [[ $ours != *" $holder "* ]] || continue
      taken+=("the port ${SETTING[$key]} ($key) is in use by $(holder_description "$holder")")
      keys+=("server.$key")
      break
    done < <(listening_inodes "${SETTING[$key]}")
  done
  [ "${#taken[@]}" -gt 0 ] || return 0
  die "$(join_words '; ' "${taken[@]}")" "stop what uses them, or choose free ports: $(join_words ', ' "${keys[@]}")"
}

# join_words SEPARATOR WORD…
join_words() {
  local separator=$1 joined=$2
  shift 2
  printf '%s' "$joined" "${@/#/$separator}"
}
