# stop-server.sh AGENT: stops the server of a host's folder, also if somebody has removed the folder, and the agent with it.
[ ! -e "$1" ] || exec "$1" stop
folder=${1%/bin/agent}

# Process ids of what runs from the folder. A program that is gone keeps its path: "/…/tritonserver (deleted)".
running() {
  for program in /proc/[0-9]*/exe; do
    case $(readlink "$program" 2>/dev/null) in
      "$folder"/runtime/*)
        id=${program#/proc/}
        echo "${id%/exe}"
        ;;
    esac
  done
}

for signal in TERM KILL; do
  for id in $(running); do
    echo "ending process $id: it still runs from $folder, which is gone" >&2
    kill -s "$signal" "$id" 2>/dev/null
  done
  for _ in $(seq 100); do
    [ -n "$(running)" ] || break
    sleep 0.1
  done
done

# As the agent names it.
container=xsched-triton-$(printf %s "$folder" | sha256sum | cut -c1-12)
if command -v docker >/dev/null && docker container inspect "$container" >/dev/null 2>&1; then
  docker rm --force "$container" >&2
fi
