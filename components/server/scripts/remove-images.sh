#!/usr/bin/env bash
# remove-images.sh DIR: removes the images that this deployment has pulled, unless somebody uses them.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-images.sh
. "$here/host-images.sh"

[ $# -eq 1 ] || die "remove-images.sh takes one argument, got $#" "remove-images.sh DIR"
use_host_directory "$1"
[ -e "$DIR/images" ] || exit 0
lock images
while IFS= read -r image; do
  remove_image "$image" || progress "left the image $image in place: something else uses it, or Docker does not answer"
done < <(list_images)
rm -f "$DIR/images"
