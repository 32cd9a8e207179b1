# shellcheck shell=bash
# Units of systemd that belong to one host directory. Needs host-directory.sh. Sourced, never run.

UNITS=${XSCHED_TRITON_UNITS:-/etc/systemd/system}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

require_root() {
  as_root true 2>/dev/null || die "$(id -un) may not become root on this host" "allow $(id -un) to use sudo without a password"
}

unit_name() {
  printf 'xsched-triton-%s-%s.service' "$(host_identity)" "$1"
}

# unit_word TEXT: TEXT as one word of a command in a unit.
unit_word() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//%/%%}
  printf '"%s"' "${text//\$/\$\$}"
}

# install_unit NAME: enables the unit on stdin, and starts it anew where it is not what runs.
install_unit() {
  local unit text
  unit=$(unit_name "$1")
  text=$(cat)
  if [ "$(cat "$UNITS/$unit" 2>/dev/null)" != "$text" ]; then
    as_root tee "$UNITS/$unit" >/dev/null <<<"$text"
    as_root systemctl daemon-reload
    as_root systemctl enable --quiet "$unit"
    as_root systemctl restart "$unit"
  elif ! systemctl is-active --quiet "$unit"; then
    as_root systemctl restart "$unit"
  fi
}

remove_unit() {
  local unit
  unit=$(unit_name "$1")
  [ -e "$UNITS/$unit" ] || return 0
  as_root systemctl disable --quiet --now "$unit" || true
  as_root rm -f "$UNITS/$unit"
  as_root systemctl daemon-reload
}
