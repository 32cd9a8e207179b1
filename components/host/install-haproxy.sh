# Installs HAProxy from the distribution where it is missing. What the package starts by itself is stopped: the agent runs
# HAProxy with a configuration of its own.
set -euo pipefail
if PATH=$PATH:/usr/sbin:/sbin command -v haproxy >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "error: HAProxy is missing, and this machine has no apt-get to install it with" >&2
  echo "fix: install HAProxy 2.4 or newer" >&2
  exit 1
fi
as_root=(sudo -n)
# A machine without sudo is deployed to as root.
[ "$(id -u)" != 0 ] || as_root=()
if ! "${as_root[@]}" true; then
  echo "error: HAProxy is missing, and $(id -un) may not use sudo without a password" >&2
  echo "fix: sudo apt-get install haproxy" >&2
  exit 1
fi
echo "installing HAProxy" >&2
# Another program that installs something, such as the machine's own updates, comes first. apt itself waits for dpkg's lock, but
# not for that of the lists of packages.
wait_seconds=300
update() {
  local said
  until said=$("${as_root[@]}" env LC_ALL=C apt-get -qq update 2>&1); do
    if [[ $said != *'Could not get lock'* ]] || ((SECONDS >= wait_seconds)); then
      printf '%s\n' "$said"
      return 1
    fi
    sleep "${RETRY_SECONDS:-5}"
  done
}
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o "DPkg::Lock::Timeout=$wait_seconds" -qq -y --no-install-recommends install haproxy)
if ! { update && "${install[@]}"; } >&2; then
  echo "error: HAProxy cannot be installed; the reason stands above" >&2
  echo "fix: give the machine a way to its package archive, or an image that has HAProxy" >&2
  exit 1
fi
if command -v systemctl >/dev/null; then
  "${as_root[@]}" systemctl disable --now haproxy.service >&2 || true
fi
