#!/usr/bin/env bash
# install-triton.sh DIR: installs the Triton of the process runtime below DIR, without root.
# stdin: a pip requirements file with hashes whose first line is "nvidia-pytriton==X ...".
# Does nothing if exactly this is installed and works; never leaves half an installation.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/host-python.sh
. "$here/host-python.sh"

[ $# -eq 1 ] || die "install-triton.sh takes one argument, got $#" "install-triton.sh DIR < requirements"
use_host_directory "$1"
requirements=$(cat)
version=${requirements%%$'\n'*}
version=${version#nvidia-pytriton==}
version=${version%% *}
[[ $version =~ ^[0-9][0-9A-Za-z.]*$ ]] ||
  die "the requirements do not begin with nvidia-pytriton==VERSION" "pass components/server/triton-requirements.txt on stdin"

# The name says everything that is inside, so an installation is never changed: a running server may use it.
digest=$(printf '%s\n' "$requirements" | sha256sum)
runtime=$DIR/runtime/triton-$version-${digest:0:8}

# runtime_works PATH: the host's Python, on which the installation stands, may have gone since.
runtime_works() {
  local stub=$1/tritonserver/backends/python/triton_python_backend_stub
  [ -x "$1/python/bin/python3" ] && [ -x "$stub" ] && [[ $(ldd "$stub" 2>&1) != *'not found'* ]] &&
    "$1/python/bin/python3" -c 'import numpy' 2>/dev/null
}

make_current() {
  local link=$DIR/runtime/.current-$$
  ln -sfn "${runtime##*/}" "$link"
  mv -T "$link" "$DIR/runtime/current"
}

mkdir -p "$DIR/runtime"
lock runtime
rm -rf "$DIR"/runtime/.staging-* "$DIR"/runtime/.current-*
if runtime_works "$runtime"; then
  make_current
  exit 0
fi

staging=$DIR/runtime/.staging-$$
trap 'rm -rf "$staging"' EXIT
mkdir -p "$staging"

machine=$(uname -m)
[ "$machine" = x86_64 ] || die "no Triton package exists for $machine" "use an x86-64 host, or the container runtime"

find_host_python "$staging"
progress "installing Triton (nvidia-pytriton $version) for $HOST_PYTHON (Python $HOST_PYTHON_VERSION)"

# A hand-made virtual environment, since Debian's python3 lacks ensurepip without python3-venv. The interpreter
# that Triton embeds finds it as the first python3 on PATH, so that neither PYTHONHOME nor PYTHONPATH is needed:
# those would break models with their own environment.
environment=$staging/python
packages=$environment/lib/python$HOST_PYTHON_VERSION/site-packages
mkdir -p "$environment/bin" "$packages"
ln -s "$HOST_PYTHON" "$environment/bin/python3"
printf 'home = %s\ninclude-system-site-packages = true\n' "$(dirname "$HOST_PYTHON")" >"$environment/pyvenv.cfg"

printf '%s\n' "$requirements" >"$staging/requirements.txt"
# pip finds the package index in its own configuration, which may name a mirror.
if ! PIP_ROOT_USER_ACTION=ignore PYTHONNOUSERSITE=1 "${HOST_PIP[@]}" install --quiet --disable-pip-version-check --no-input \
  --require-hashes --no-deps --only-binary=:all: --no-compile --no-warn-script-location \
  --target "$packages" --requirement "$staging/requirements.txt" >"$staging/pip.log" 2>&1; then
  tail -n 15 "$staging/pip.log" >&2
  die "pip cannot install Triton's packages (its message is above)" \
    "check that this host reaches its Python package index, or set index-url in pip's configuration"
fi
rm "$staging/pip.log"

# The stub is the process that runs a Python model; the wheel has one for each Python version, elsewhere.
ln -s "python/lib/python$HOST_PYTHON_VERSION/site-packages/pytriton/tritonserver" "$staging/tritonserver"
stubs=$staging/tritonserver/python_backend_stubs
backend=$staging/tritonserver/backends/python
[ -f "$stubs/$HOST_PYTHON_VERSION/triton_python_backend_stub" ] ||
  die "nvidia-pytriton $version has no stub for Python $HOST_PYTHON_VERSION" "install one of Python $SUPPORTED_PYTHONS"
mv "$stubs/$HOST_PYTHON_VERSION/triton_python_backend_stub" "$backend/"
rm -r "$stubs"
# The wheel's files come without execute bits, or writable for everyone, depending on how it is unpacked.
chmod -R u+rwX,go-w,a+rX "$staging"
chmod 755 "$backend/triton_python_backend_stub" "$staging/tritonserver/bin/tritonserver"

# libpython goes where the stub's own RPATH looks, unless the loader finds the right one anyway.
if [[ $(ldd "$backend/triton_python_backend_stub" 2>&1) == *"$HOST_LIBPYTHON_NAME => not found"* ]]; then
  if [[ $HOST_LIBPYTHON == "$staging"/* ]]; then
    cp -L "$HOST_LIBPYTHON" "$packages/nvidia_pytriton.libs/$HOST_LIBPYTHON_NAME"
  else
    ln -s "$HOST_LIBPYTHON" "$packages/nvidia_pytriton.libs/$HOST_LIBPYTHON_NAME"
  fi
fi
rm -rf "$staging/downloads"

runtime_works "$staging" || {
  ldd "$backend/triton_python_backend_stub" 2>&1 | grep 'not found' >&2 || true
  die "the installed Triton does not run on this host (libraries that are missing are listed above)" \
    "use Debian 12, Ubuntu 22.04 or newer, or the container runtime"
}
rm -rf "$runtime"
mv -T "$staging" "$runtime"
make_current
progress "installed Triton in $runtime"
