# shellcheck shell=bash
# Objects of S3 through the AWS CLI, with the credentials that it finds on this host: an instance's role, or ~/.aws.
# Needs host-directory.sh. Sourced, never run.

export AWS_PAGER="" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5

# Larger objects are fetched in parts side by side, which only `aws s3 cp` does.
LARGE_BYTES=67108864

require_aws_cli() {
  command -v aws >/dev/null || die "the AWS CLI is not installed on this host" \
    "install it (https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html, or apt-get install awscli)"
}

# s3_die MESSAGE_OF_THE_CLI: dies with what it means. BUCKET and OBJECT say what was asked for.
s3_die() {
  local message
  message=$(tr '\n' ' ' <<<"$1" | sed 's/^ *//; s/ *$//')
  case $message in
    *'No space left'* | *'Errno 28'*) die "there is no space left in $DIR for $OBJECT" "free some space, or give the host a larger disk" ;;
    *'Unable to locate credentials'* | *'CredentialRetrievalError'* | *'NoCredentials'*)
      die "this host has no AWS credentials" "give the instance a role that may read $OBJECT, or put credentials into ~/.aws" ;;
    *NoSuchBucket*) die "there is no bucket $BUCKET" "correct the model's source, or create the bucket" ;;
    *'(403)'* | *AccessDenied* | *Forbidden*)
      die "S3 denies this host access to $OBJECT" "allow its role or user s3:GetObject there, and kms:Decrypt with the key of an encrypted object; S3 answers the same when the object is gone and the host may not list the bucket" ;;
    *'(404)'* | *NoSuchKey* | *'Not Found'* | *'does not exist'*)
      message=$(aws s3api head-bucket --bucket "$BUCKET" 2>&1 >/dev/null) || case $message in
        *'(404)'*) die "there is no bucket $BUCKET" "correct the model's source, or create the bucket" ;;
      esac
      die "the object $OBJECT has been deleted since the deployment began" "put it back, or deploy again without it" ;;
    *'(412)'* | *PreconditionFailed* | *'Precondition Failed'*)
      die "the object $OBJECT has changed since the deployment began" "deploy again" ;;
    *'Could not connect'* | *EndpointConnectionError* | *'Connect timeout'* | *'Connection was closed'*)
      die "this host cannot reach S3: $message" "check its network; a private subnet needs an S3 endpoint" ;;
    *) die "S3 does not return $OBJECT: $message" "see the message above" ;;
  esac
}

# multipart_etag FILE PART_BYTES: the ETag that S3 gives an object uploaded in parts of this size.
multipart_etag() {
  local file=$1 part=$2 size offset byte sums="" count=0 sum
  size=$(stat -c %s "$file")
  for ((offset = 0; offset < size; offset += part)); do
    sum=$(dd if="$file" bs=1M iflag=skip_bytes,count_bytes skip="$offset" count="$part" status=none | md5sum)
    for ((byte = 0; byte < 32; byte += 2)); do sums+="\\x${sum:byte:2}"; done
    count=$((count + 1))
  done
  sum=$(printf '%b' "$sums" | md5sum)
  printf '%s-%s' "${sum%% *}" "$count"
}

# object_check ETAG ENCRYPTION BYTES KEY: how a copy of the object is compared with it. Prints md5, parts:BYTES, or
# sha256 where the ETag says nothing about the content and S3's own checks on the way must do.
object_check() {
  local etag=$1 encryption=$2 bytes=$3 key=$4 first count
  case $encryption in
    None | AES256) ;;
    *) printf sha256 && return ;;
  esac
  if [[ $etag =~ ^[0-9a-f]{32}$ ]]; then
    printf md5
  elif [[ $etag =~ ^[0-9a-f]{32}-([0-9]+)$ ]]; then
    count=${BASH_REMATCH[1]}
    first=$(aws s3api head-object --bucket "$BUCKET" --key "$key" --part-number 1 --query ContentLength --output text 2>/dev/null) || first=0
    # Parts of different sizes are legal, and rare.
    if [[ $first =~ ^[1-9][0-9]*$ ]] && [ $(((bytes + first - 1) / first)) -eq "$count" ]; then
      printf 'parts:%s' "$first"
    else
      printf sha256
    fi
  else
    printf sha256
  fi
}

# file_is FILE ETAG CHECK: whether the file holds the object of this ETag.
file_is() {
  local file=$1 etag=$2 check=$3 sum
  case $check in
    md5)
      sum=$(md5sum <"$file")
      [ "${sum%% *}" = "$etag" ]
      ;;
    parts:*) [ "$(multipart_etag "$file" "${check#parts:}")" = "$etag" ] ;;
    sha256:*)
      sum=$(sha256sum <"$file")
      [ "${sum%% *}" = "${check#sha256:}" ]
      ;;
    *) return 1 ;;
  esac
}

# fetch_object KEY ETAG BYTES VERSION FILE: makes FILE of one object, checked. VERSION is - for the newest.
# Sets FETCHED_VERSION and FETCHED_CHECK.
fetch_object() {
  local key=$1 etag=$2 bytes=$3 version=$4 file=$5
  local answer try encryption found options=()
  OBJECT=s3://$BUCKET/$key
  [ "$version" = - ] || options=(--version-id "$version")
  mkdir -p "${file%/*}"
  for try in 1 2; do
    rm -f "$file.part"
    if [ "$bytes" -lt "$LARGE_BYTES" ] || [ "$version" != - ]; then
      answer=$(aws s3api get-object --bucket "$BUCKET" --key "$key" --if-match "\"$etag\"" --checksum-mode ENABLED \
        "${options[@]}" --query '[VersionId,ServerSideEncryption]' --output text "$file.part" 2>&1) || s3_die "$answer"
    else
      answer=$(aws s3api head-object --bucket "$BUCKET" --key "$key" --if-match "\"$etag\"" \
        --query '[VersionId,ServerSideEncryption]' --output text 2>&1) || s3_die "$answer"
      found=$(aws s3 cp "$OBJECT" "$file.part" --no-progress --only-show-errors 2>&1) || s3_die "$found"
      # Between the two it may have been replaced.
      found=$(aws s3api head-object --bucket "$BUCKET" --key "$key" --if-match "\"$etag\"" 2>&1 >/dev/null) || s3_die "$found"
    fi
    read -r FETCHED_VERSION encryption <<<"$(tail -n 1 <<<"$answer")"
    # None is a bucket without versions, null an object from before it had them.
    case $FETCHED_VERSION in '' | None | null) FETCHED_VERSION=- ;; esac
    FETCHED_CHECK=$(object_check "$etag" "$encryption" "$bytes" "$key")
    if [ "$FETCHED_CHECK" = sha256 ]; then
      found=$(sha256sum <"$file.part")
      FETCHED_CHECK=sha256:${found%% *}
    fi
    if [ "$(stat -c %s "$file.part")" = "$bytes" ] && file_is "$file.part" "$etag" "$FETCHED_CHECK"; then
      mv -T "$file.part" "$file"
      return
    fi
    progress "$OBJECT has arrived corrupt (attempt $try)"
  done
  rm -f "$file.part"
  die "$OBJECT arrived corrupt: it does not match its ETag $etag" "check the network and any proxy on the way, then deploy again"
}
