#!/usr/bin/env bash
# watch-spot.sh DIR: waits for AWS's notice that it takes this spot instance back, which comes two minutes before, and
# drains the server then: requests in flight are finished, new ones refused. resume-host.sh brings it back when the
# instance starts again. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "watch-spot.sh takes one argument, got $#" "watch-spot.sh DIR"
use_host_directory "$1"
command -v curl >/dev/null || die "curl is not installed on this host" "sudo apt-get install curl"

METADATA=${XSCHED_TRITON_METADATA:-http://169.254.169.254}
SECONDS_BETWEEN=${XSCHED_TRITON_SPOT_SECONDS:-5}
# The machine itself needs part of the two minutes.
LONGEST_DRAIN=${XSCHED_TRITON_SPOT_DRAIN:-100}
# A machine that still runs after this time is not being taken back.
GIVE_UP=${XSCHED_TRITON_SPOT_GIVE_UP:-600}

token="" token_until=0
# Version 2 of the metadata service, the only one that our instances answer.
renew_token() {
  [ "$SECONDS" -ge "$token_until" ] || return 0
  token=$(curl -sf --noproxy '*' --max-time 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$METADATA/latest/api/token") || return 1
  token_until=$((SECONDS + 20000))
}

# notice: sets NOTICE if there is one. Fails if there is none, or no answer.
notice() {
  renew_token || return 1
  NOTICE=$(curl -s --noproxy '*' --max-time 3 -w '\n%{http_code}' -H "X-aws-ec2-metadata-token: $token" \
    "$METADATA/latest/meta-data/spot/instance-action") || return 1
  case ${NOTICE##*$'\n'} in
    200) NOTICE=${NOTICE%$'\n'*} ;;
    401)
      # After a stop, earlier tokens are invalid.
      token_until=0
      return 1
      ;;
    *) return 1 ;;
  esac
}

announced=""
while :; do
  if notice; then
    if [ -z "$announced" ]; then
      announced=$SECONDS
      progress "AWS takes this instance back: $NOTICE"
      # The limit also applies when Docker does not answer.
      if timeout "$((LONGEST_DRAIN + 10))" bash "$here/drain-server.sh" "$DIR" "$LONGEST_DRAIN"; then
        progress "the server is drained after $((SECONDS - announced)) s"
      else
        progress "the server is not drained (the reason is above)"
      fi
    fi
  elif [ -n "$announced" ] && [ $((SECONDS - announced)) -ge "$GIVE_UP" ]; then
    progress "the instance still runs; the server starts again"
    bash "$here/resume-host.sh" "$DIR" && announced=""
  fi
  sleep "$SECONDS_BETWEEN"
done
