# stop-gateway.sh AGENT: removes the gateway of a host's folder, also if somebody has removed the folder, and the agent with it.
[ ! -e "$1" ] || exec "$1" remove-gateway
folder=${1%/bin/agent}

# Process ids of our HAProxy. It is told to read a configuration of the folder, by which it is known.
running() {
  for program in /proc/[0-9]*/exe; do
    case $(readlink "$program" 2>/dev/null) in
      */haproxy | */haproxy\ *) ;;
      *) continue ;;
    esac
    id=${program#/proc/}
    id=${id%/exe}
    case $(tr '\0' ' ' <"/proc/$id/cmdline" 2>/dev/null) in
      *" $folder/gateway/"*) echo "$id" ;;
    esac
  done
}

for signal in TERM KILL; do
  for id in $(running); do
    echo "ending process $id: a gateway of $folder, which is gone" >&2
    kill -s "$signal" "$id" 2>/dev/null
  done
  for _ in $(seq 100); do
    [ -n "$(running)" ] || break
    sleep 0.1
  done
done
