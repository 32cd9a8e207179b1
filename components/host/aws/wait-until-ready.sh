# Waits until cloud-init has set this machine up, and lets its user use Docker. Usage: wait-until-ready.sh SECONDS
set -euo pipefail
# A machine image without cloud-init has nothing to wait for.
if command -v cloud-init >/dev/null && ! said=$(timeout "$1" cloud-init status --wait 2>&1); then
  case $(cloud-init status 2>/dev/null || true) in
    # With warnings, which leave the machine usable.
    *'status: done'*) ;;
    *'status: running'*)
      echo "error: cloud-init has not finished within $1 s" >&2
      echo "fix: look at /var/log/cloud-init-output.log on the machine, then run this again" >&2
      exit 1
      ;;
    *)
      printf 'error: cloud-init has failed\n%s\n' "$said" >&2
      tail -n 20 /var/log/cloud-init-output.log >&2 || true
      echo "fix: mend what it says, then reboot the machine or replace it" >&2
      exit 1
      ;;
  esac
fi
# Counts from the next login on.
if getent group docker >/dev/null && ! id -nG | grep -qw docker && [ "$(id -u)" -ne 0 ]; then
  sudo -n usermod -aG docker "$(id -un)"
fi
echo ready
