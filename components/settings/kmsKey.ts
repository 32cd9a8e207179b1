import { text } from "./rules";

/** https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN */
const KEY_ARN =
  /^arn:aws[a-z-]*:kms:[a-z]{2}(?:-[a-z]+)+-[0-9]:[0-9]{12}:key\/(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/**
 * A key of AWS KMS. Only its ARN: AWS tells it of what is encrypted, and an alias or a bare id would then look like another
 * key in each `up`, which would replace the instance.
 */
export const kmsKey = text({
  allowed: "the ARN of a symmetric key of AWS KMS, in the region of the stack",
  example: "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef",
  refuse(value) {
    if (KEY_ARN.test(value)) return undefined;
    // What can be a name, so that the command can be copied as it is.
    return /^[\w:/-]{1,256}$/.test(value)
      ? `give its ARN: aws kms describe-key --key-id ${value} --query KeyMetadata.Arn --output text`
      : "give its ARN: aws kms list-keys";
  },
});
