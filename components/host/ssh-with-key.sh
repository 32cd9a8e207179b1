# ssh-with-key.sh ADDRESS PORT USER HOST_KEY COMMAND: runs a command on a machine, as the private key on standard input allows.
# Ends as the command does, with 255 if it cannot be run there, or with 127 if this machine has no ssh.
command -v ssh >/dev/null || exit 127
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
umask 077
cat >"$folder/key" || exit 1
printf '[%s]:%s %s\n%s %s\n' "$1" "$2" "$4" "$1" "$4" >"$folder/known_hosts" || exit 1
# Without the machine's banner, which is none of the command's messages.
ssh -F none -i "$folder/key" -p "$2" -o "UserKnownHostsFile=$folder/known_hosts" -o LogLevel=ERROR \
  -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 "$3@$1" "$5"
