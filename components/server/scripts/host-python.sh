# shellcheck shell=bash
# Finds the host's Python for Triton's Python backend: an interpreter with its standard library, the shared
# libpython of the same version, and pip. What Debian or Ubuntu packages could add is fetched without root.
# Needs host-directory.sh. Sourced, never run.

# nvidia-pytriton includes stubs for these, and the pinned numpy has wheels for them.
SUPPORTED_PYTHONS="3.9, 3.10, 3.11 or 3.12"

# The system's own first: it is the same on every login and is not removed by accident.
python_candidates() {
  local name folder
  for name in /usr/bin/python3 python3 python3.12 python3.11 python3.10 python3.9; do
    command -v "$name" || true
  done
  for folder in /usr/bin /usr/local/bin; do
    for name in "$folder"/python3.{12,11,10,9}; do
      [ ! -x "$name" ] || printf '%s\n' "$name"
    done
  done
}

# find_host_python STAGING: sets HOST_PYTHON (the interpreter), HOST_PYTHON_VERSION (3.X), HOST_LIBPYTHON (path),
# HOST_LIBPYTHON_NAME (soname) and HOST_PIP (command). What has to be fetched goes to STAGING/downloads.
find_host_python() {
  local staging=$1 fetch candidate seen=" " candidates
  candidates=$(python_candidates)
  for fetch in no yes; do
    seen=" "
    while IFS= read -r candidate; do
      inspect_python "$candidate" || continue
      [[ $seen != *" $HOST_PYTHON "* ]] || continue
      seen+="$HOST_PYTHON "
      find_libpython || { [ $fetch = yes ] && fetch_libpython "$staging"; } || continue
      find_pip || { [ $fetch = yes ] && fetch_pip "$staging"; } || continue
      return
    done <<<"$candidates"
  done
  explain_missing_python "$seen"
}

# Sets HOST_PYTHON, HOST_PYTHON_VERSION, HOST_LIBPYTHON_NAME and PYTHON_LIBRARY_FOLDER of the interpreter behind a
# name (which may be a shim or in a virtual environment); fails if it is no usable one.
inspect_python() {
  local facts
  # ctypes and ssl are missing from stripped-down installations; models will want a whole standard library.
  facts=$(cd / && "$1" -I -c '
import ctypes, json, os, ssl, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
print(version)
print(base)
print("libpython%s.so.1.0" % version)
print(sysconfig.get_config_var("LIBDIR") or "")
' 2>/dev/null) || return 1
  {
    read -r HOST_PYTHON_VERSION
    read -r HOST_PYTHON
    read -r HOST_LIBPYTHON_NAME
    read -r PYTHON_LIBRARY_FOLDER
  } <<<"$facts"
  case $HOST_PYTHON_VERSION in
    3.9 | 3.10 | 3.11 | 3.12) ;;
    *) return 1 ;;
  esac
}

find_libpython() {
  local folder
  for folder in "$PYTHON_LIBRARY_FOLDER" "/usr/lib/$(uname -m)-linux-gnu" /usr/lib64 /usr/local/lib; do
    HOST_LIBPYTHON=$folder/$HOST_LIBPYTHON_NAME
    [ ! -e "$HOST_LIBPYTHON" ] || return 0
  done
  return 1
}

find_pip() {
  HOST_PIP=("$HOST_PYTHON" -m pip)
  (cd / && "${HOST_PIP[@]}" --version) >/dev/null 2>&1
}

# download_package STAGING NAME: unpacks a Debian package below STAGING/downloads. Neither step needs root.
download_package() {
  local downloads=$1/downloads
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  progress "fetching the package $2"
  mkdir -p "$downloads/$2"
  (cd "$downloads/$2" && timeout 300 apt-get download "$2" && dpkg-deb -x ./*.deb .) >"$downloads/$2.log" 2>&1 ||
    return 1
}

fetch_libpython() {
  local package=libpython$HOST_PYTHON_VERSION file
  download_package "$1" "$package" || return 1
  file=$(find "$1/downloads/$package" -name "$HOST_LIBPYTHON_NAME" -print -quit)
  [ -n "$file" ] || return 1
  HOST_LIBPYTHON=$file
}

fetch_pip() {
  local wheel
  download_package "$1" python3-pip-whl || return 1
  wheel=$(find "$1/downloads/python3-pip-whl" -name 'pip-*.whl' -print -quit)
  [ -n "$wheel" ] || return 1
  # pip runs straight from its wheel.
  HOST_PIP=("$HOST_PYTHON" "$wheel/pip")
  (cd / && "${HOST_PIP[@]}" --version) >/dev/null 2>&1
}

explain_missing_python() {
  local version=3
  [ "$1" = " " ] || { version=${1#* } && version=${version##*python} && version=${version%% *}; }
  local install="sudo apt-get install python3 libpython3-dev python3-pip"
  [[ ! $version =~ ^3\.[0-9]+$ ]] || install="sudo apt-get install python3 libpython$version python3-pip"
  die "this host has no Python $SUPPORTED_PYTHONS with its shared libpython and pip, and they cannot be fetched without root" \
    "$install"
}
