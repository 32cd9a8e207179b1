# shellcheck shell=bash
# Engines that hosts of one kind share through a prefix in S3, each below its key: model.plan, and "built", which says
# what it is and is put there last. Nothing here fails a deployment: without it the engine is built. Needs
# host-directory.sh. Sourced, never run.

export AWS_PAGER="" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=3

# Prints what the AWS CLI says, in one line.
s3_copy() {
  local message
  if ! command -v aws >/dev/null; then
    printf 'the AWS CLI is not installed on this host'
    return 1
  fi
  message=$(aws s3 cp "$1" "$2" --only-show-errors 2>&1) && return 0
  tr '\n' ' ' <<<"${message:-the AWS CLI says nothing}" | sed 's/^ *//; s/ *$//'
  return 1
}

# take_shared_engine PLACE FOLDER TITLE: fails if there is none that is whole.
take_shared_engine() {
  local place=$1 folder=$2 title=$3 message sum
  if ! message=$(s3_copy "$place/built" "$folder/built"); then
    case $message in
      *404* | *NoSuchKey* | *'Not Found'*) ;;
      # S3's answer as well to who may not list, if there is none.
      *403* | *Forbidden* | *AccessDenied*) progress "no shared engine of $title, or this host may not read $place" ;;
      *) progress "cannot look for a shared engine of $title: $message" ;;
    esac
    return 1
  fi
  if ! message=$(s3_copy "$place/model.plan" "$folder/model.plan"); then
    progress "cannot take the shared engine of $title: $message"
    return 1
  fi
  sum=$(sha256sum <"$folder/model.plan")
  if [ "$(sed -n 's/^sha256 //p' "$folder/built")" != "${sum%% *}" ]; then
    progress "the shared engine of $title is damaged: $place"
    rm -f "$folder/model.plan" "$folder/built"
    return 1
  fi
  progress "took the engine of $title from $place"
}

# share_engine PLACE FOLDER TITLE
share_engine() {
  local message
  if message=$(s3_copy "$2/model.plan" "$1/model.plan") && message=$(s3_copy "$2/built" "$1/built"); then
    progress "shared the engine of $3 as $1"
  else
    progress "cannot share the engine of $3: $message"
  fi
}
