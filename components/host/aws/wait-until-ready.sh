# Waits until cloud-init has set this machine up. Usage: wait-until-ready.sh SECONDS
set -euo pipefail
# A machine image without cloud-init has nothing to wait for.
command -v cloud-init >/dev/null || exit 0
if ! said=$(timeout "$1" cloud-init status --wait 2>&1); then
  # A warning, which leaves the machine usable, has a status of its own: 2.
  case $(cloud-init status 2>/dev/null || true) in
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
echo ready
