# send-files.sh FOLDER COMMAND…: sends the files of a folder that standard input names, each with a NUL behind, to a command as
# a tar archive. Symbolic links are sent as what they lead to.
set -euo pipefail
folder=$1
shift
# On macOS, tar would add files of its own.
COPYFILE_DISABLE=1 tar -C "$folder" -chf - --no-recursion --null -T - | "$@"
