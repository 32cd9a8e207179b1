# inspect-host.sh DIR: what has to be put right on a host, as its agent tells, or all of it if there is no agent to ask.
# What the login shell has printed comes before this line.
echo xsched-triton-messages >&2
agent=$1/bin/agent
if [ -x "$agent" ] && "$agent" inspect; then
  exit 0
fi
# A folder with nothing but its marker has just been made, and one of a release before the agent gets an agent now.
others=$(find "$1" -mindepth 1 -maxdepth 1 ! -name .xsched-triton.json 2>/dev/null | head -n 1)
if [ -d "$1" ] && [ -z "$others" ] || [ -e "$1/bin/host-directory.sh" ]; then
  echo 'xsched-triton-result {"repairs":{}}'
  exit 0
fi
echo "the host's folder $1 is gone or damaged; it is deployed anew" >&2
printf 'xsched-triton-result {"repairs":{"*":"%s"}}\n' "$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
