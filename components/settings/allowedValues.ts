import { choice } from "./rules";

/*
 * The names that a key takes, and what each means. Triton's own come from model_config.proto of release 22.06:
 * https://github.com/triton-inference-server/common/blob/r22.06/protobuf/model_config.proto
 */

/** https://github.com/triton-inference-server/server/blob/r22.06/src/main.cc, the flags `--log-…` */
export const logLevel = choice("LogLevel", "How much Triton logs. Each level includes the ones before it.", {
  error: "errors only",
  warning: "errors and warnings",
  info: "also which models are loaded",
  verbose: "also every request",
});

export const imageVariant = choice("ImageVariant", "How models of an image are scheduled.", {
  hooked: "any Triton release, unchanged; each model of each backend is scheduled at its own priority",
  patched: "Triton 22.06 with a TensorRT backend that schedules each model at its own priority",
  transparent:
    "the core alone, for programs other than Triton; each CUDA stream is scheduled at its CUDA priority",
});

export const modelUpload = choice("ModelUpload", "How a model's folder reaches the host.", {
  auto: "on AWS through a bucket of the stack from 64 MiB on, otherwise over SSH",
  ssh: "over SSH",
  s3: "through a bucket that the stack creates on AWS",
});

/** https://github.com/NVIDIA/TensorRT/blob/release/8.2/samples/trtexec/README.md, the flags `--fp16` and `--best` */
export const enginePrecision = choice(
  "EnginePrecision",
  "Lowest precision that TensorRT may choose for a layer.",
  {
    fp32: "32-bit floating point, TF32 where the GPU has it",
    fp16: "also 16-bit floating point",
    best: "also 8-bit integers, for a model that has scales of its own",
  },
);

/** `ModelInstanceGroup.Kind` */
export const instanceKind = choice("InstanceKind", "Where instances of a model run.", {
  auto: "on GPUs if there are any and the model can use them, otherwise on the CPU",
  gpu: "on GPUs",
  cpu: "on the CPU",
  model: "wherever the model itself decides",
});

/** `ModelQueuePolicy.TimeoutAction` */
export const timeoutAction = choice("TimeoutAction", "What happens to a request that has waited too long.", {
  reject: "reject a request that has waited too long",
  delay: "serve it after those that have not",
});

/** `DataType` */
export const dataType = choice("DataType", "Triton's data types, without `TYPE_`.", {
  FP32: "32-bit floating point",
  FP16: "16-bit floating point",
  BF16: "16-bit brain floating point",
  FP64: "64-bit floating point",
  INT8: "8-bit integer",
  INT16: "16-bit integer",
  INT32: "32-bit integer",
  INT64: "64-bit integer",
  UINT8: "8-bit unsigned integer",
  UINT16: "16-bit unsigned integer",
  UINT32: "32-bit unsigned integer",
  UINT64: "64-bit unsigned integer",
  BOOL: "true or false",
  STRING: "bytes",
});

export const publicIp = choice("PublicIp", "Address at which an instance is reached.", {
  elastic: "an address that stays when the instance stops",
  dynamic: "another address after each stop; the deployment after a stop needs a refresh",
  none: "only the private address in the subnet, which `subnetId` must name, or in a network of its own",
});

export const networkEgress = choice(
  "NetworkEgress",
  "How an instance in a network of its own reaches what it downloads.",
  {
    natGateway:
      "anything on the internet, through a NAT gateway, and over IPv6 through an egress-only gateway",
    endpoints: "the services of AWS that it uses, through endpoints in the network, and nothing else",
  },
);

export const hostAccess = choice("HostAccess", "How a deployment reaches its instance.", {
  ssh: "over SSH at the instance's address, from `adminCidrs`",
  sessionManager: "over SSH through AWS's Session Manager, without an open port",
});

export const loadBalancerScheme = choice("LoadBalancerScheme", "Who can reach a load balancer.", {
  internal: "its network, and those that are connected with it",
  internetFacing: "the internet as well, at public addresses",
});

export const gatewayTls = choice(
  "GatewayTls",
  "What protects what clients and the gateway say to each other.",
  {
    off: "nothing: whoever is on the way between them reads requests, answers and tokens",
    selfSigned: "TLS with a certificate that the host makes; clients must be given it",
    certificate: "TLS with a certificate of your own",
  },
);

/** Greatest values of the protobuf integers that the settings become. */
export const MAX_INT32 = 2 ** 31 - 1;
export const MAX_UINT32 = 2 ** 32 - 1;
