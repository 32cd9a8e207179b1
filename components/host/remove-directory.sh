# Removes DIR with all that a deployment has left in it. Usage: remove-directory.sh DIR
set -euo pipefail
cd -- "$1" 2>/dev/null || exit 0
if [ -e bin/remove-host.sh ]; then
  exec bash bin/remove-host.sh "$PWD"
fi
directory=$PWD
cd /
# Of an installation that was killed before the folder had its marker.
rm -f -- "$directory"/..xsched-triton.json.*
rmdir -- "$directory" 2>/dev/null || echo "left $directory in place: it holds files that are not ours" >&2
