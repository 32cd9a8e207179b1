# Gives this machine the SSH host key that its deployment has made, before the SSH server starts: whoever connects
# knows the key already. cloud-init runs it in each boot. Whatever fails, no SSH server starts with another key.
# Usage: install-host-key.sh REGION PARAMETER [FOLDER]
set -uo pipefail
region=$1
parameter=$2
folder=${3:-/etc/ssh}
key=$folder/ssh_host_ed25519_key
umask 077
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# What an earlier boot has installed, and nobody has changed since, will do while AWS does not answer.
installed=$folder/xsched-triton-host-key.sha256
attempts=60
if sha256sum --check --status "$installed" 2>/dev/null; then attempts=3; fi

# The role is often not there in the first seconds of an instance. 5 minutes in all.
for ((attempt = 1; attempt <= attempts; attempt++)); do
  if timeout 20 aws ssm get-parameter --region "$region" --name "$parameter" --with-decryption \
    --query Parameter.Value --output text >"$new/key" 2>"$new/error" &&
    ssh-keygen -y -P '' -f "$new/key" >"$new/key.pub" 2>"$new/error"; then
    rm -f "$folder"/ssh_host_*
    install -m 600 "$new/key" "$key" && install -m 644 "$new/key.pub" "$key.pub" &&
      sha256sum "$key" >"$installed" && exit 0
    echo "cannot write to $folder" >"$new/error"
  fi
  sleep "${RETRY_SECONDS:-5}"
done

echo "the SSH host key cannot be read from the parameter $parameter in $region:" >&2
cat "$new/error" >&2
if sha256sum --check --status "$installed" 2>/dev/null; then
  echo "the key of an earlier boot stays" >&2
  exit 0
fi
echo "SSH stays off until the next boot; look at the instance's role, or at its way out to AWS" >&2
systemctl mask --runtime --now ssh.service ssh.socket
exit 1
