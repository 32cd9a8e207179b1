# find-python.sh PROGRAM [WORD…]: runs the text of a Python program, with the words as its arguments, by a Python that the
# agent can run on. The system's own comes first: it is the same in every login and is not removed by accident.
for python in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do
  if "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    program=$1
    shift
    exec "$python" -I -c "$program" "$@"
  fi
done
echo "error: this host has no Python 3.8 or newer" >&2
echo "fix: sudo apt-get install python3 (Debian, Ubuntu), or sudo dnf install python3.11 (Red Hat, Amazon Linux)" >&2
exit 1
