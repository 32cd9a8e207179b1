# Cancels a spot request before its instance goes, so that AWS starts no other one for it. Pulumi's AWS provider means to
# do the same, but releases of it did not: https://github.com/hashicorp/terraform-provider-aws/issues/38142
# Runs on the machine that deploys, with the credentials of its AWS CLI; without them it says what to look at, and fails
# nothing. Usage: cancel-spot-request.sh REGION REQUEST
set -euo pipefail
if command -v aws >/dev/null &&
  aws ec2 cancel-spot-instance-requests --region "$1" --spot-instance-request-ids "$2" >/dev/null; then
  exit 0
fi
echo "could not cancel the spot request $2 with an AWS CLI here; if this shows it afterwards, cancel it yourself:" >&2
echo "  aws ec2 describe-spot-instance-requests --region $1 --filters Name=state,Values=open,active,disabled" >&2
