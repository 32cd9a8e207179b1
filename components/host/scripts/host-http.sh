# shellcheck shell=bash
# shellcheck disable=SC2034  # the results are read by the scripts that source this
# A small HTTP/1.1 client in bash itself: neither curl nor Python is on every host. Sourced, never run.

# http_request ADDRESS:PORT METHOD PATH TIMEOUT_SECONDS [BODY]
# Sets HTTP_STATUS (0 if no answer came) and HTTP_BODY; returns 1 if no answer came. While it waits, it calls
# http_waiting SECONDS every five seconds. Triton gives every answer of its management API a Content-Length.
http_request() {
  local address=$1 method=$2 path=$3 timeout=$4 body=${5-}
  local LC_ALL=C host=${address%:*} port=${address##*:} connection line="" header length=0 waited=0
  HTTP_STATUS=0 HTTP_BODY=""
  host=${host#[}
  host=${host%]}
  { exec {connection}<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 1
  if ! { printf '%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
    "$method" "$path" "$address" "${#body}" "$body" >&"$connection"; } 2>/dev/null; then
    exec {connection}>&-
    return 1
  fi
  # Docker accepts a connection before its container listens, and then resets it: bash reports that on stderr.
  until IFS= read -r -t 5 -u "$connection" line 2>/dev/null; do
    # A status above 128 says that the time is over, anything else that the peer hung up.
    if [ $? -le 128 ] || [ "$((waited += 5))" -ge "$timeout" ]; then
      exec {connection}>&-
      return 1
    fi
    http_waiting "$waited"
  done
  while IFS= read -r -t 10 -u "$connection" header 2>/dev/null && [ "${header%$'\r'}" != "" ]; do
    case ${header,,} in
      content-length:*) length=${header#*:} length=${length//[^0-9]/} ;;
    esac
  done
  if [ "$length" -gt 0 ]; then
    IFS= read -r -t 10 -N "$length" -u "$connection" HTTP_BODY 2>/dev/null || true
  fi
  exec {connection}>&-
  line=${line#* }
  HTTP_STATUS=${line%% *}
}

http_waiting() {
  :
}
