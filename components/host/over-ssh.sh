# over-ssh.sh NAME USER HOST_KEY PROXY_COMMAND ATTEMPTS COMMAND: runs a command on a machine that PROXY_COMMAND leads to, with
# OpenSSH. NAME is only what messages call it. The private key is in XSCHED_TRITON_SSH_KEY. Standard input is the command's.
# Ends as the command does, or with 255 if it could not be run, or its end is not known.
set -euo pipefail
name=$1 user=$2 host_key=$3 proxy=$4 attempts=$5 command=$6
umask 077
XSCHED_TRITON_SSH=$(mktemp -d)
trap 'rm -rf "$XSCHED_TRITON_SSH"' EXIT
printf '%s\n' "$XSCHED_TRITON_SSH_KEY" >"$XSCHED_TRITON_SSH/key"
unset XSCHED_TRITON_SSH_KEY
export XSCHED_TRITON_SSH
printf '%s %s\n' "$name" "$host_key" >"$XSCHED_TRITON_SSH/known_hosts"

fail() {
  cat "$XSCHED_TRITON_SSH/messages" >&2
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 255
}

command -v ssh >/dev/null || {
  echo "error: this machine has no ssh" >&2
  echo "fix: install OpenSSH's client (Debian, Ubuntu: apt-get install openssh-client)" >&2
  exit 255
}

for ((attempt = 1; ; attempt++)); do
  : >"$XSCHED_TRITON_SSH/messages"
  code=0
  # ssh runs both commands with SHELL. What it says itself goes to a file, as the command's own messages are on standard error.
  # A tunnel that is dead is noticed within a minute.
  SHELL=/bin/sh ssh -F none -T -o LogLevel=ERROR -E "$XSCHED_TRITON_SSH/messages" -i "$XSCHED_TRITON_SSH/key" \
    -o "UserKnownHostsFile=$XSCHED_TRITON_SSH/known_hosts" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes \
    -o BatchMode=yes -o ConnectTimeout="${CONNECT_SECONDS:-30}" -o ServerAliveInterval=15 -o ServerAliveCountMax=4 \
    -o "ProxyCommand=$proxy 2>>\"\$XSCHED_TRITON_SSH/messages\"" \
    -o PermitLocalCommand=yes -o 'LocalCommand=: >"$XSCHED_TRITON_SSH/in"' -l "$user" -- "$name" "$command" || code=$?
  if [ -e "$XSCHED_TRITON_SSH/in" ]; then
    if [ "$code" -eq 255 ]; then
      fail "the connection to $name was lost while a command ran there, or the command itself ended with 255" \
        "run this again: it can be repeated at any time"
    fi
    exit "$code"
  fi
  # Nothing has been run, and nothing read of standard input.
  case $(<"$XSCHED_TRITON_SSH/messages") in
    *'Host key verification failed'*)
      fail "$name has another host key than the stack gave it, so nothing is sent there" \
        "find out which machine answers; if the instance was made anew by hand: pulumi up --refresh"
      ;;
    *'Permission denied ('*)
      fail "$name does not let $user in with the stack's key" \
        "check host.user, and ~/.ssh/authorized_keys of that user on the machine"
      ;;
    *'SessionManagerPlugin is not found'*)
      fail "the AWS CLI of this machine has no Session Manager plugin" \
        "install it: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
      ;;
    *'aws: not found'* | *'aws: No such file'*)
      fail "this machine has no AWS CLI, which leads to $name" \
        "install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
      ;;
    *AccessDenied* | *UnauthorizedOperation*)
      fail "AWS does not let this machine start a session on $name" \
        "allow ssm:StartSession on the instance and on the document AWS-StartSSHSession (docs/how-to/aws.md)"
      ;;
    *ExpiredToken* | *'Token has expired'* | *'Unable to locate credentials'* | *InvalidClientTokenId* | *UnrecognizedClient*)
      fail "the AWS CLI of this machine has no valid credentials" "aws sso login, aws configure, or set AWS_PROFILE"
      ;;
  esac
  if [ "$attempt" -ge "$attempts" ]; then
    fail "there is no way to $name by: $proxy" \
      "check that the machine runs, that its SSM agent does, and that it reaches AWS's endpoints ssm and ssmmessages: aws ssm describe-instance-information"
  fi
  sleep "${RETRY_SECONDS:-5}"
done
