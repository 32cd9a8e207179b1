/**
 * The newest Deep Learning Base AMI of the release that the images are made for; Docker, NVIDIA's container toolkit and
 * the open driver are on it.
 * https://docs.aws.amazon.com/dlami/latest/devguide/aws-deep-learning-x86-base-gpu-ami-ubuntu-22-04.html
 */
export const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id";
