# shellcheck shell=bash
# The images that this deployment has pulled on the host, and which of them to remove. Needs host-directory.sh. Sourced,
# never run.
# DIR/images lists those that we pulled, one a line, the one in use last. What was there before is not ours to remove.

list_images() {
  cat "$DIR/images" 2>/dev/null || true
}

# list_other_images IMAGE: all but this one.
list_other_images() {
  list_images | grep -Fxv -e "$1" || true
}

# write_images: takes the new list from stdin.
write_images() {
  cat >"$DIR/images.new"
  mv "$DIR/images.new" "$DIR/images"
}

# record_pulled_image IMAGE: it is not in use yet, so it goes before the others. A subshell releases the lock.
record_pulled_image() (
  lock images
  others=$(list_other_images "$1")
  printf '%s\n' "$1" ${others:+"$others"} | write_images
)

# remove_image IMAGE: fails if it is still there, for instance because another deployment uses it.
remove_image() {
  docker image rm "$1" >/dev/null 2>&1 || ! docker image inspect "$1" >/dev/null 2>&1
}

# keep_image IMAGE: this one is in use now. Removes those of ours that are no longer used, except for the previous one,
# so that going back needs no pull.
keep_image() (
  lock images
  list_images | grep -Fxq -e "$1" || return 0
  others=$(list_other_images "$1")
  {
    # All but the last of the others.
    sed '$d' <<<"$others" | while IFS= read -r unused; do
      remove_image "$unused" || printf '%s\n' "$unused"
    done
    tail -n 1 <<<"$others" | sed '/^$/d'
    printf '%s\n' "$1"
  } | write_images
)
