# shellcheck shell=bash
# Logging in to a registry for one script. Needs host-directory.sh. Sourced, never run.

# registry_of IMAGE: the key of its registry in Docker's configuration.
registry_of() {
  local first=${1%%/*}
  case $first in
    "$1" | docker.io) printf 'https://index.docker.io/v1/' ;;
    *.* | *:* | localhost) printf '%s' "$first" ;;
    *) printf 'https://index.docker.io/v1/' ;;
  esac
}

# docker_login IMAGE USERNAME PASSWORD: docker uses these until the script ends. Nothing is kept: `docker login` would
# leave the password in the user's home.
docker_login() {
  local config host
  # Another configuration knows nothing of the context that the user has chosen.
  host=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null)} || host=""
  config=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$config'" EXIT
  printf '{"auths":{%s:{"auth":"%s"}}}\n' "$(json_string "$(registry_of "$1")")" \
    "$(printf '%s:%s' "$2" "$3" | base64 -w 0)" >"$config/config.json"
  export DOCKER_CONFIG=$config
  [ -z "$host" ] || export DOCKER_HOST=$host
}

# docker_login_by_role IMAGE: as the role of this EC2 instance, in a registry of Amazon ECR.
docker_login_by_role() {
  local registry password
  registry=${1%%/*}
  [[ $registry =~ ^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$ ]] ||
    die "$registry is not a registry of Amazon ECR" "give the registry's username and password"
  command -v aws >/dev/null || die "the AWS CLI is not installed on this machine" "choose a machine image that includes it"
  password=$(aws ecr get-login-password --region "${BASH_REMATCH[1]}") ||
    die "the role of this instance may not log in to $registry" "check the instance profile; AWS's reason is above"
  docker_login "$1" AWS "$password"
}
