#!/usr/bin/env bash
# pull-image.sh DIR IMAGE [USERNAME | --role]: pulls an image on this host unless it is there, and touches nothing
# that runs. With USERNAME it logs in to the image's registry for this pull alone, with the password on stdin; with
# --role to Amazon ECR, as the role of this EC2 instance.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-docker.sh
. "$here/host-docker.sh"
# shellcheck source=components/server/scripts/docker-login.sh
. "$here/docker-login.sh"

[ $# -ge 2 ] || die "pull-image.sh takes two or three arguments, got $#" "pull-image.sh DIR IMAGE [USERNAME]"
use_host_directory "$1"
image=$2 fix=""
[[ $image == *@sha256:* ]] || die "the image '$image' has no digest" "name it as repository@sha256:DIGEST"
if [ "${3:-}" = --role ]; then
  docker_login_by_role "$image"
  fix="let the role of this instance pull from the repository (ecr:BatchGetImage, ecr:GetDownloadUrlForLayer), and check whether this host reaches its registry"
elif [ $# -gt 2 ]; then
  IFS= read -r password || [ -n "$password" ] || die "no password was given for $3" "pass it on stdin"
  docker_login "$image" "$3" "$password"
fi
require_image "$image" "$fix"
