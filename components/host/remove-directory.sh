# Removes what a deployment has left in DIR, and DIR if nothing else is in it. Usage: remove-directory.sh DIR
set -euo pipefail
cd -- "$1" 2>/dev/null || exit 0
if [ -e server ]; then
  echo "A Triton server still runs from $PWD. Stop it first: bash $PWD/bin/stop-server.sh $PWD" >&2
  exit 1
fi
rm -rf -- bin bin.new bin.old runtime models uploads
cd / && { rmdir -- "$OLDPWD" 2>/dev/null || echo "Kept $OLDPWD: it holds files that are not of this deployment." >&2; }
