# stop.sh AGENT COMMAND: the agent's command `stop`, for the server of a host's folder, or `remove-gateway`. Does the same, also
# if somebody has removed the folder, and the agent with it.
[ ! -e "$1" ] || exec "$1" "$2"
folder=${1%/bin/agent}

# Process ids of the gateway. Its program is the machine's own; it is known by the configuration that it was told to read.
gateways() {
  # Not as an argument, which would be one of grep's own.
  # shellcheck disable=SC2062 # what follows the options are files
  printf '%s\n' "$folder/gateway/current/haproxy.cfg" |
    grep --files-with-matches --null-data --line-regexp --fixed-strings --file=- /proc/[0-9]*/cmdline 2>/dev/null |
    while IFS=/ read -r _ _ id _; do
      case $(readlink "/proc/$id/exe" 2>/dev/null) in
        */haproxy | */haproxy\ *) echo "$id" ;;
      esac
    done
}

# Process ids of what runs from the folder. A program that is gone keeps its path: "/…/tritonserver (deleted)".
servers() {
  for program in /proc/[0-9]*/exe; do
    case $(readlink "$program" 2>/dev/null) in
      "$folder"/runtime/*)
        id=${program#/proc/}
        echo "${id%/exe}"
        ;;
    esac
  done
}

# end_all FUNCTION…: ends the processes that these functions name.
end_all() {
  for signal in TERM KILL; do
    for id in $(for found in "$@"; do "$found"; done); do
      echo "ending process $id: it still runs from $folder, which is gone" >&2
      kill -s "$signal" "$id" 2>/dev/null
    done
    for _ in $(seq 100); do
      [ -n "$(for found in "$@"; do "$found"; done)" ] || break
      sleep 0.1
    done
  done
}

if [ "$2" = remove-gateway ]; then
  end_all gateways
  exit
fi

# Units of systemd and a container, as the agent names them.
name=xsched-triton-$(printf %s "$folder" | sha256sum | cut -c1-12)

# Removes units of systemd, which would start again what is ended. Usage:
# remove_units FOLDER PREFIX… with the words before each command: sudo, for the machine's own.
remove_units() {
  units=$1
  shift
  for unit in "$units/$name"-*.service; do
    [ -e "$unit" ] || continue
    echo "removing $unit: what it starts is gone" >&2
    "$@" systemctl "$scope" disable --quiet --now "${unit##*/}"
    "$@" rm -f "$unit"
    "$@" systemctl "$scope" daemon-reload
  done
}

# Tests have a folder of their own.
system=${XSCHED_TRITON_UNITS:-/etc/systemd/system}
scope=--system
if [ "$(id -u)" -eq 0 ]; then
  remove_units "$system" env
else
  remove_units "$system" sudo -n
fi
scope=--user
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
export XDG_RUNTIME_DIR
remove_units "$HOME/.config/systemd/user" env

end_all gateways servers

if command -v docker >/dev/null && docker container inspect "$name" >/dev/null 2>&1; then
  docker rm --force --volumes "$name" >&2
  docker network rm "$name" >&2
fi
