# inspect-over-ssh.sh ADDRESS PORT USER HOST_KEY COMMAND: runs a command on a machine, as the private key on standard input
# allows. Ends with 255 if that cannot be run there, after the answer of a host on which nothing is known to be wrong.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
umask 077
cat >"$folder/key"
printf '[%s]:%s %s\n%s %s\n' "$1" "$2" "$4" "$1" "$4" >"$folder/known_hosts"
if command -v ssh >/dev/null && ssh -F none -i "$folder/key" -p "$2" -o "UserKnownHostsFile=$folder/known_hosts" \
  -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 "$3@$1" "$5"; then
  exit 0
fi
echo "the host $1 cannot be asked what has changed on it" >&2
echo 'xsched-triton-result {"repairs":{}}'
exit 255
