# shellcheck shell=bash
# Python tools that checks need, from PyPI with checksums. Sourced, never run.

# pinned_python_tools NAME REQUIREMENTS: prints the folder in the user's cache with the packages of a pip requirements
# file, which are installed there once. NAME is the tool's, as its folder and a message call it.
pinned_python_tools() {
  local tool=$1 requirements=$2 folder staging
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/xsched-triton/$tool-$(sha256sum "$requirements" | cut -c 1-16)
  if [ ! -d "$folder" ]; then
    mkdir -p "$(dirname "$folder")"
    # Installed aside and renamed, so that two runs at once and an interrupted one do no harm.
    staging=$(mktemp -d "$folder.XXXXXX")
    if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      --requirement "$requirements" --target "$staging" >"$staging.log" 2>&1; then
      cat "$staging.log" >&2
      rm -rf "$staging" "$staging.log"
      printf '%s: cannot install what %s pins; this needs pip and a Python package index\n' "${tool%%-*}" "$requirements" >&2
      return 1
    fi
    rm -f "$staging.log"
    # Another run may have been faster.
    mv -T "$staging" "$folder" 2>/dev/null || rm -rf "$staging"
  fi
  printf '%s' "$folder"
}
