# Creates DIR and prints its absolute path. Usage: create-directory.sh DIR
set -euo pipefail
mkdir -p -- "$1"
cd -- "$1"
pwd -P
