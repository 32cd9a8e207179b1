import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";

import * as pulumi from "@pulumi/pulumi";

import { Fault } from "../../../components/settings";
import { ensemble, HOST_KEY, IMAGE, opensshKey, PRIVATE_KEY, refusal, SSH } from "./context";

const PRIORITIES = "an integer from -255 to 255, or one of max (255), default (0), min (-255)";
const IMAGES = "an image by digest or tag: repository@sha256:<64 hexadecimal digits>, or repository:tag";
const a = { name: "a", source: "models/a" };
const b = { name: "b", source: "models/b" };
/** An ensemble of the models a and b. */
const p = { name: "p", source: "models/p" };
/** A model from which an engine can be built. */
const x = { name: "x", source: "models/x" };
const engine = (shape: object): object => ({ ...x, engine: { shapes: [{ input: "ids", ...shape }] } });
const CONTAINER = { runtime: { kind: "container", image: IMAGE } };
const build = { repository: "registry.example.com/triton" };
const login = { username: "deployer", password: pulumi.secret("hunter2") };

const SIGNING_KEY = [
  "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
  "AAAA",
  "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----",
].join("\n");
const PUBLIC_KEY = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
  ...{ type: "spki", format: "pem" },
}) as string;

/** The body of an RSA host key: its kind, exponent and modulus. */
const RSA_KEY = ["ssh-rsa", "\x01\0\x01", `\0${"\xff".repeat(256)}`]
  .map((text) => Buffer.from(text, "latin1"))
  .flatMap((bytes) => [Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes])
  .reduce((sum, bytes) => Buffer.concat([sum, bytes]))
  .toString("base64");

/** A config and its only fault: path, given value, what is allowed, fix. */
type Case = readonly [string, unknown, readonly [string, string, string, string]];
const cases: readonly Case[] = [
  [
    "an unknown top-level key",
    { sever: {} },
    [
      "sever",
      "(unknown key)",
      "the keys host, runtime, server, gateway, scheduler, models, monitoring",
      "did you mean server?",
    ],
  ],
  [
    "a key with two letters swapped",
    { hots: {} },
    [
      "hots",
      "(unknown key)",
      "the keys host, runtime, server, gateway, scheduler, models, monitoring",
      "did you mean host?",
    ],
  ],
  [
    "an unknown key far from all known ones",
    { scheduler: { zzz: 1 } },
    ["scheduler.zzz", "(unknown key)", "the keys required, domain", "remove it"],
  ],
  [
    "a key of another kind of host",
    { host: { kind: "local", privateKey: PRIVATE_KEY } },
    [
      "host.privateKey",
      "(unknown key)",
      "the keys kind, directory",
      "privateKey belongs to kind ssh: set host.kind to ssh, or remove privateKey",
    ],
  ],
  [
    "an ensemble with instances",
    { models: [a, { name: "b", source: "models/b" }, { ...p, instanceGroups: [{ kind: "cpu" }] }] },
    [
      "models[2].instanceGroups",
      "a list of 1",
      "no instanceGroups for an ensemble, which runs nothing itself",
      "remove instanceGroups, or set it for the models of its steps: a, b",
    ],
  ],
  [
    "an ensemble by its config that batches",
    { models: [{ ...a, config: 'platform: "ensemble"', dynamicBatching: {} }] },
    [
      "models[0].dynamicBatching",
      "an object",
      "no dynamicBatching for an ensemble, which runs nothing itself",
      "remove dynamicBatching",
    ],
  ],
  [
    "an ensemble with a warm-up",
    {
      models: [
        {
          ...p,
          warmup: [{ name: "w", inputs: [{ name: "x", dataType: "FP32", dims: [1] }] }],
        },
        ...[a, b],
      ],
    },
    [
      "models[0].warmup",
      "a list of 1",
      "no warmup for an ensemble, which runs nothing itself",
      "remove warmup, or set it for the models of its steps: a, b",
    ],
  ],
  [
    "a dependency on a model that there is not",
    {
      models: [
        { ...a, dependsOn: ["bb"] },
        { ...x, name: "bbq" },
      ],
    },
    ["models[0].dependsOn[0]", '"bb"', "one of the other models: bbq", "did you mean bbq?"],
  ],
  [
    "a dependency of the only model",
    { models: [{ ...a, dependsOn: ["tokenizer"] }] },
    [
      "models[0].dependsOn[0]",
      '"tokenizer"',
      "another model of the stack",
      "add the model tokenizer, or remove it here",
    ],
  ],
  [
    "a model that depends on itself",
    { models: [{ ...a, dependsOn: ["a"] }] },
    [
      "models[0].dependsOn[0]",
      '"a"',
      "another model of the stack",
      "remove it: a model does not wait for itself",
    ],
  ],
  [
    "models that wait for each other",
    {
      models: [
        { ...x, name: "d", dependsOn: ["a"] },
        { ...a, dependsOn: ["c"] },
        { ...x, name: "c", dependsOn: ["a"] },
      ],
    },
    [
      "models[1].dependsOn",
      "[c]",
      "models that do not wait for this one",
      "break the circle a → c → a: remove c",
    ],
  ],
  [
    "a step that waits for its ensemble",
    { models: [p, { ...a, dependsOn: ["p"] }, b] },
    [
      "models[1].dependsOn",
      "[p]",
      "models that do not wait for this one",
      "break the circle p → a → p: remove p",
    ],
  ],
  [
    "an ensemble that is a step of itself",
    { models: [{ ...p, name: "a" }, b] },
    [
      "models[0].source",
      '"models/p"',
      "an ensemble that is not a step of itself",
      "break the circle a → a: change the steps in its config.pbtxt",
    ],
  ],
  [
    "an ensemble of models that the stack does not have",
    { models: [p] },
    [
      "models[0].source",
      '"models/p"',
      "an ensemble of models of the stack",
      "add a, b to the stack's models, or change the steps in its config.pbtxt",
    ],
  ],
  [
    "a step whose name is not quite that of a model",
    {
      models: [
        { ...a, name: "tokenizer" },
        { ...p, config: ensemble("tokeniser") },
      ],
    },
    [
      "models[1].config",
      '"platform: \\"ensemble\\"\\nensemble_scheduling { step [ { model_na…" (100 characters)',
      "an ensemble of models of the stack",
      "did you mean the model tokenizer? Otherwise add tokeniser to the stack's models, or change the steps in its config.pbtxt",
    ],
  ],
  [
    "a priority above the range",
    { models: [{ ...a, priority: 256 }] },
    ["models[0].priority", "256", PRIORITIES, "give 255 (max), the most urgent, or less"],
  ],
  [
    "a priority below the range",
    { models: [{ ...a, priority: -256 }] },
    ["models[0].priority", "-256", PRIORITIES, "give -255 (min), the least urgent, or more"],
  ],
  [
    "a fractional priority",
    { models: [{ ...a, priority: 2.5 }] },
    ["models[0].priority", "2.5", PRIORITIES, "round it: 3"],
  ],
  [
    "a mistyped priority",
    { models: [{ ...a, priority: "maxx" }] },
    ["models[0].priority", '"maxx"', PRIORITIES, "did you mean max?"],
  ],
  [
    "a priority in quotes",
    { models: [{ ...a, priority: "40" }] },
    ["models[0].priority", '"40"', PRIORITIES, "write it without quotes: 40"],
  ],
  [
    "a floor above the range",
    { models: [{ ...a, floor: 51 }] },
    ["models[0].floor", "51", "an integer from 0 to 50", "give an integer from 0 to 50, for example 10"],
  ],
  [
    "floors of which there is too much on every GPU",
    {
      models: [
        { ...a, floor: 50 },
        { ...b, floor: 30 },
        { ...x, floor: 20 },
        { name: "c", source: "models/a", floor: 50, instanceGroups: [{ kind: "cpu" }] },
      ],
    },
    [
      "models[2].floor",
      "20",
      "floors that come to at most 90 on a GPU",
      "lower some of those on every GPU by 10 together: a (50), b (30), x (20)",
    ],
  ],
  [
    "floors of which there is too much on one GPU",
    {
      ...CONTAINER,
      models: [
        { ...a, floor: 50, instanceGroups: [{ gpus: [0, 1] }] },
        { ...b, floor: 50, instanceGroups: [{ gpus: [2] }] },
        { ...x, floor: 41 },
      ],
    },
    [
      "models[2].floor",
      "41",
      "floors that come to at most 90 on a GPU",
      "lower some of those on GPU 0 by 1 together: a (50), x (41)",
    ],
  ],
  [
    "a floor of an ensemble",
    { models: [a, b, { ...p, floor: 10 }] },
    [
      "models[2].floor",
      "10",
      "no floor for an ensemble, which runs nothing itself",
      "remove floor, or set it for the models of its steps: a, b",
    ],
  ],
  [
    "a weight above the range",
    { models: [{ ...a, weight: 101 }] },
    ["models[0].weight", "101", "an integer from 0 to 100", "give an integer from 0 to 100, for example 3"],
  ],
  [
    "a ratio in place of a weight",
    { models: [{ ...a, weight: "3:1" }] },
    ["models[0].weight", '"3:1"', "an integer from 0 to 100", "give an integer from 0 to 100, for example 3"],
  ],
  [
    "a weight of an ensemble",
    { models: [a, b, { ...p, weight: 3 }] },
    [
      "models[2].weight",
      "3",
      "no weight for an ensemble, which runs nothing itself",
      "remove weight, or set it for the models of its steps: a, b",
    ],
  ],
  [
    "the weight as a parameter",
    { models: [{ ...a, parameters: { xsched_weight: 3 } }] },
    [
      "models[0].parameters.xsched_weight",
      "3",
      "parameters that no setting owns",
      "remove it, and set the model's weight",
    ],
  ],
  [
    "the floor as a parameter",
    { models: [{ ...a, parameters: { xsched_floor: 10 } }] },
    [
      "models[0].parameters.xsched_floor",
      "10",
      "parameters that no setting owns",
      "remove it, and set the model's floor",
    ],
  ],
  [
    "the instances as a parameter",
    { models: [{ ...a, parameters: { xsched_instances: "2" } }] },
    [
      "models[0].parameters.xsched_instances",
      '"2"',
      "parameters that no setting owns",
      "remove it, and set the model's instanceGroups",
    ],
  ],
  [
    "a name of two models",
    { models: [a, { ...a, source: "models/b" }] },
    ["models[1].name", '"a"', "a name that no other has; models[0] has this one", "rename one of the two"],
  ],
  [
    "an illegal model name",
    { models: [{ ...a, name: "../my model" }] },
    [
      "models[0].name",
      '"../my model"',
      "1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)",
      "rename it, for example my-model",
    ],
  ],
  [
    "a missing source",
    { models: [{ name: "a", source: "modles/a" }] },
    [
      "models[0].source",
      '"modles/a"',
      "a folder that exists",
      "create /project/modles/a, or correct the path (relative to /project)",
    ],
  ],
  [
    "an absent source",
    { models: [{ name: "a" }] },
    [
      "models[0].source",
      "(not set)",
      "the path of a folder on this machine, or s3://bucket/prefix",
      "add source: models/my-model",
    ],
  ],
  [
    "an upload through a bucket for a host without one",
    { models: [{ ...a, upload: "s3" }] },
    [
      "models[0].upload",
      '"s3"',
      "auto or ssh: only a host of kind aws has a bucket",
      "remove upload, or put the model into S3 and give s3://bucket/prefix",
    ],
  ],
  [
    "an upload of a model in S3",
    { models: [{ ...a, source: "s3://bucket/a", upload: "s3" }] },
    ["models[0].upload", '"s3"', "nothing, as the model is in S3 already", "remove upload"],
  ],
  [
    "CloudWatch monitoring of a machine outside AWS",
    { monitoring: { kind: "cloudwatch", notify: ["ops@example.com"] } },
    [
      "monitoring.kind",
      '"cloudwatch"',
      "cloudwatch only with host.kind aws",
      "remove monitoring, and scrape server.metricsPort with your own Prometheus",
    ],
  ],
  [
    "a file as a source",
    { models: [{ name: "a", source: "models/a/1/model.plan" }] },
    [
      "models[0].source",
      '"models/a/1/model.plan"',
      "a folder",
      "give the folder that holds the version folders, such as 1/",
    ],
  ],
  [
    "a source without a version",
    { models: [{ name: "a", source: "models/empty" }] },
    [
      "models[0].source",
      '"models/empty"',
      "a folder with at least one version folder: 1, 2, …",
      "put the model's files into /project/models/empty/1",
    ],
  ],
  [
    "an engine without a GPU",
    { models: [{ ...x, engine: {} }] },
    [
      "models[0].engine",
      "an object",
      "no engine with runtime process, which has no GPU to build and run it on",
      "remove it, or set runtime.kind to container",
    ],
  ],
  [
    "an engine for another release than that of its builder",
    {
      runtime: {
        kind: "container",
        build: { ...build, base: "nvcr.io/nvidia/tritonserver:26.09-py3" },
      },
      models: [{ ...x, engine: {} }],
    },
    [
      "models[0].engine.builder",
      "(not set)",
      "an image with the TensorRT of Triton 26.09; the default has the one of 22.06",
      "add builder: nvcr.io/nvidia/tensorrt:26.09-py3",
    ],
  ],
  [
    "an engine without an ONNX model",
    { ...CONTAINER, models: [{ ...a, engine: {} }] },
    [
      "models[0].source",
      '"models/a"',
      "a folder with a model.onnx in a version folder, since engine is given",
      "put it at /project/models/a/1/model.onnx, or remove engine",
    ],
  ],
  [
    "an impossible bucket name for engines",
    { ...CONTAINER, models: [{ ...x, engine: { shared: "s3://Team/engines" } }] },
    [
      "models[0].engine.shared",
      '"s3://Team/engines"',
      "s3://bucket/prefix with a bucket name of 3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)",
      "S3's names are in lower case: team",
    ],
  ],
  [
    "an unknown precision",
    { ...CONTAINER, models: [{ ...x, engine: { precision: "fp61" } }] },
    ["models[0].engine.precision", '"fp61"', "one of fp32, fp16, best", "did you mean fp16?"],
  ],
  [
    "shapes in the wrong order",
    { ...CONTAINER, models: [engine({ min: [1, 384], opt: [8, 384], max: [4, 384] })] },
    [
      "models[0].engine.shapes[0].max",
      "[4, 384]",
      "sizes not smaller than those of opt: [8, 384]",
      "swap opt and max, or raise max",
    ],
  ],
  [
    "two shapes of one input",
    {
      ...CONTAINER,
      models: [
        {
          ...x,
          engine: {
            shapes: [
              { input: "ids", min: [1], opt: [1], max: [1] },
              { input: "ids", min: [1], opt: [2], max: [4] },
            ],
          },
        },
      ],
    },
    [
      "models[0].engine.shapes[1].input",
      '"ids"',
      "an input that models[0].engine.shapes[0] does not have",
      "merge the two into one shape",
    ],
  ],
  [
    "shapes of different rank",
    { ...CONTAINER, models: [engine({ min: [1, 384], opt: [1], max: [1] })] },
    ["models[0].engine.shapes[0].opt", "[1]", "as many sizes as min has: 2", "give 2 sizes"],
  ],
  [
    "ports that clash",
    { server: { httpPort: 8001 } },
    [
      "server.grpcPort",
      "8001",
      "a port that server.httpPort does not use",
      "choose another, for example 8000",
    ],
  ],
  [
    "a port out of range",
    { server: { metricsPort: 65536 } },
    [
      "server.metricsPort",
      "65536",
      "an integer from 1 to 65535",
      "give an integer from 1 to 65535, for example 8002",
    ],
  ],
  [
    "ssh without an address",
    { host: { ...SSH, address: undefined } },
    ["host.address", "(not set)", "a host name or an IP address", "add address: gpu1.example.com"],
  ],
  [
    "ssh with an empty key",
    { host: { ...SSH, hostKey: null } },
    [
      "host.hostKey",
      "null",
      "the machine's public key in one line: ssh-ed25519 AAAA…",
      "give a value, for example ssh-ed25519 AAAA…, or remove hostKey",
    ],
  ],
  [
    "a host key with the host's name",
    { host: { ...SSH, hostKey: "gpu1 ssh-ed25519 AAAA" } },
    [
      "host.hostKey",
      '"gpu1 ssh-ed25519 AAAA"',
      "the machine's public key in one line: ssh-ed25519 AAAA…",
      "on the machine, run: cat /etc/ssh/ssh_host_ed25519_key.pub",
    ],
  ],
  [
    "a known_hosts line",
    { host: { ...SSH, hostKey: `gpu1 ${HOST_KEY}` } },
    [
      "host.hostKey",
      "a string of 85 characters",
      "the machine's public key in one line: ssh-ed25519 AAAA…",
      "remove the host name at the start of the line",
    ],
  ],
  ...["ssh-rsa", "gpu1 ssh-rsa"].map((kind): Case => [
    `an RSA host key: ${kind}`,
    { host: { ...SSH, hostKey: `${kind} ${RSA_KEY}` } },
    [
      "host.hostKey",
      `a string of ${kind.length + 1 + RSA_KEY.length} characters`,
      "the machine's public key in one line: ssh-ed25519 AAAA…",
      "give the machine's ed25519 or ECDSA key, since OpenSSH refuses what would be asked of its RSA key: ssh-keyscan -t ed25519 ADDRESS | cut -d' ' -f2-, and compare what it prints",
    ],
  ]),
  [
    "a malformed private key",
    { host: { ...SSH, privateKey: "hunter2" } },
    [
      "host.privateKey",
      "(secret)",
      "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
      "pulumi config set --secret --path xsched-triton:host.privateKey < KEY_FILE",
    ],
  ],
  [
    "an OpenSSH key with a passphrase",
    { host: { ...SSH, privateKey: opensshKey("aes256-ctr") } },
    [
      "host.privateKey",
      "(a key with a passphrase)",
      "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
      'create one for deployments: ssh-keygen -t ed25519 -N "" -f KEY_FILE',
    ],
  ],
  [
    "a key of PuTTY",
    { host: { ...SSH, privateKey: "PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n" } },
    [
      "host.privateKey",
      "(a key of PuTTY)",
      "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
      "convert it: puttygen KEY_FILE -O private-openssh-new -o NEW_KEY_FILE",
    ],
  ],
  [
    "a container without an image",
    { runtime: { kind: "container" } },
    [
      "runtime.image",
      "(not set)",
      "image, or build to make one",
      "add image: registry.example.com/triton@sha256:…, or build: { repository: registry.example.com/triton }",
    ],
  ],
  [
    "a container with two images",
    { runtime: { kind: "container", image: IMAGE, build } },
    ["runtime.build", "an object", "image or build, not both", "remove one of the two"],
  ],
  [
    "an image without tag and digest",
    { runtime: { kind: "container", image: "registry.example.com:5000/triton" } },
    [
      "runtime.image",
      '"registry.example.com:5000/triton"',
      IMAGES,
      "name a tag after a colon, or better the digest after an @",
    ],
  ],
  [
    "an image with half a digest",
    { runtime: { kind: "container", image: "triton@sha256:abc" } },
    [
      "runtime.image",
      '"triton@sha256:abc"',
      IMAGES,
      "give the digest as docker prints it: 64 hexadecimal digits in lower case after sha256:",
    ],
  ],
  [
    "a repository without a registry",
    { runtime: { kind: "container", build: { repository: "team/triton" } } },
    [
      "runtime.build.repository",
      '"team/triton"',
      "a repository with its registry's address and without a tag",
      "begin with the registry's address, for example docker.io/team/triton",
    ],
  ],
  [
    "a repository with a tag",
    { runtime: { kind: "container", build: { repository: "registry.example.com/triton:1" } } },
    [
      "runtime.build.repository",
      '"registry.example.com/triton:1"',
      "a repository with its registry's address and without a tag",
      "remove the tag or digest; each state of the image gets its own tag",
    ],
  ],
  [
    "a repository by URL",
    { runtime: { kind: "container", build: { repository: "https://registry.example.com/triton" } } },
    [
      "runtime.build.repository",
      '"https://registry.example.com/triton"',
      "a repository with its registry's address and without a tag",
      "remove https://",
    ],
  ],
  [
    "an unknown variant",
    { runtime: { kind: "container", build: { ...build, variant: "transparrent" } } },
    [
      "runtime.build.variant",
      '"transparrent"',
      "one of hooked, patched, transparent",
      "did you mean transparent?",
    ],
  ],
  [
    "the patched backend on a release that it does not fit",
    {
      runtime: {
        kind: "container",
        build: { ...build, variant: "patched", base: "mirror.example.com/tritonserver:24.08-py3" },
      },
    },
    [
      "runtime.build.variant",
      '"patched"',
      "hooked for Triton 24.08: the change to the TensorRT backend fits Triton 22.06 only",
      "set variant to hooked, or remove it",
    ],
  ],
  [
    "a base that is too old for the hooks",
    { runtime: { kind: "container", build: { ...build, base: "nvcr.io/nvidia/tritonserver:22.05-py3" } } },
    [
      "runtime.build.base",
      '"nvcr.io/nvidia/tritonserver:22.05-py3"',
      "an image of Triton 22.06 or newer, which the hooks fit",
      "name a newer release",
    ],
  ],
  [
    "a builder with a newer C library than the base",
    {
      runtime: {
        kind: "container",
        build: { ...build, base: "nvcr.io/nvidia/tritonserver:24.10-py3", builder: "ubuntu:24.04" },
      },
    },
    [
      "runtime.build.builder",
      '"ubuntu:24.04"',
      "an image with the C library of the base or an older one: Triton 24.10 has Ubuntu 22.04 with glibc 2.35, not 2.39",
      "remove builder, or set it to docker.io/library/ubuntu:22.04",
    ],
  ],
  [
    "an SBOM generator by tag",
    { runtime: { kind: "container", build: { ...build, sbomGenerator: "scanner:1" } } },
    [
      "runtime.build.sbomGenerator",
      '"scanner:1"',
      "an image by digest: repository@sha256:<64 hexadecimal digits>",
      "a tag can move; get the digest with: docker buildx imagetools inspect IMAGE",
    ],
  ],
  [
    "a signature without a key",
    { runtime: { kind: "container", build, signature: { transparencyLog: true } } },
    [
      "runtime.signature.key",
      "(not set)",
      "key, keyFile or kms, exactly one",
      "add keyFile: cosign.key; make one: cosign generate-key-pair",
    ],
  ],
  [
    "a signature with two keys",
    {
      runtime: {
        kind: "container",
        build,
        signature: { kms: "awskms:///a", key: pulumi.secret(SIGNING_KEY) },
      },
    },
    ["runtime.signature.key", "(given: key, kms)", "key, keyFile or kms, exactly one", "remove the others"],
  ],
  [
    "a password for a key service",
    {
      runtime: {
        kind: "container",
        build,
        signature: { kms: "awskms:///a", password: pulumi.secret("hunter2") },
      },
    },
    ["runtime.signature.password", "(given with kms)", "a password only with key or keyFile", "remove it"],
  ],
  [
    "a key of another kind to sign with",
    { runtime: { kind: "container", build, signature: { keyFile: "tls/key.pem" } } },
    [
      "runtime.signature.keyFile",
      '"tls/key.pem"',
      "a file with a key of cosign: the text of cosign.key",
      "make one: cosign generate-key-pair",
    ],
  ],
  [
    "a file as a key service",
    { runtime: { kind: "container", build, signature: { kms: "cosign.key" } } },
    [
      "runtime.signature.kms",
      '"cosign.key"',
      "a key of a key service: awskms://, gcpkms://, azurekms:// or hashivault:// and its name",
      "give its address as for cosign sign --key",
    ],
  ],
  [
    "a key to sign with in plain text",
    { runtime: { kind: "container", build, signature: { key: SIGNING_KEY } } },
    [
      "runtime.signature.key",
      "(a key in plain text)",
      "a key of cosign: the text of cosign.key, encrypted in the stack config",
      "pulumi config set --secret --path xsched-triton:runtime.signature.key < cosign.key",
    ],
  ],
  [
    "to sign an image that exists",
    { runtime: { kind: "container", image: IMAGE, signature: { kms: "awskms:///a" } } },
    ["runtime.signature", "(given)", "signature only with build", "remove it, or give build"],
  ],
  [
    "to check the signature of an image that is built",
    { runtime: { kind: "container", build, publicKey: PUBLIC_KEY } },
    ["runtime.publicKey", "(given)", "publicKey only with image", "remove it, or give image"],
  ],
  [
    "a public key that is none",
    { runtime: { kind: "container", image: IMAGE, publicKey: "cosign.pub" } },
    [
      "runtime.publicKey",
      '"cosign.pub"',
      "a public key in PEM form: the text of cosign.pub",
      "give the key as in cosign.pub, whole",
    ],
  ],
  [
    "a build for the process runtime",
    { runtime: { kind: "process", build } },
    [
      "runtime.build",
      "(unknown key)",
      "the keys kind",
      "build belongs to kind container: set runtime.kind to container, or remove build",
    ],
  ],
  [
    "a password in plain text",
    { runtime: { kind: "container", image: IMAGE, registry: { username: "a", password: "hunter2" } } },
    [
      "runtime.registry.password",
      "(a password in plain text)",
      "a password or token of one line, encrypted in the stack config",
      "pulumi config set --secret --path xsched-triton:runtime.registry.password",
    ],
  ],
  [
    "a password of two lines",
    { runtime: { kind: "container", image: IMAGE, registry: { username: "a", password: "a\nb" } } },
    [
      "runtime.registry.password",
      "(secret)",
      "a password or token of one line, encrypted in the stack config",
      "pulumi config set --secret --path xsched-triton:runtime.registry.password",
    ],
  ],
  [
    "a username with the password",
    { runtime: { kind: "container", image: IMAGE, registry: { ...login, username: "a:b" } } },
    [
      "runtime.registry.username",
      '"a:b"',
      "the name to log in with",
      "give the name alone, without the password",
    ],
  ],
  [
    "required scheduling in the process runtime",
    { scheduler: { required: true } },
    [
      "scheduler.required",
      "true",
      "false with runtime process, which runs on the CPU only and cannot be scheduled",
      "remove it, or set runtime.kind to container",
    ],
  ],
  [
    "a flag that has a setting",
    { server: { extraFlags: ["--http-port=9000"] } },
    [
      "server.extraFlags[0]",
      '"--http-port=9000"',
      "a tritonserver flag of the form --name or --name=value that no other setting owns",
      "use the setting httpPort",
    ],
  ],
  [
    "a flag that deployments rely on",
    { server: { extraFlags: ["--model-control-mode=poll"] } },
    [
      "server.extraFlags[0]",
      '"--model-control-mode=poll"',
      "a tritonserver flag of the form --name or --name=value that no other setting owns",
      "remove --model-control-mode; deployments rely on its value",
    ],
  ],
  ...(
    [
      ["--allow-grpc=false", "remove --allow-grpc; deployments rely on its value"],
      [
        "--http-restricted-api=model-repository:k=v",
        "remove --http-restricted-api; deployments rely on its value",
      ],
      ["--http-por=9", "remove it; tritonserver takes it for --http-port"],
      ["--backend-config=python,shm-region-prefix-name=x", "remove it; deployments rely on its value"],
      ["--log-format=ISO8601", "remove --log-format; deployments rely on its value"],
    ] as const
  ).map(
    ([flag, fix]) =>
      [
        `the flag ${flag}`,
        { server: { extraFlags: [flag] } },
        [
          "server.extraFlags[0]",
          JSON.stringify(flag),
          "a tritonserver flag of the form --name or --name=value that no other setting owns",
          fix,
        ],
      ] as const,
  ),
  [
    "a parameter that leaves the model's folder",
    { models: [{ ...a, parameters: { env: "../env.tar.gz" } }] },
    [
      "models[0].parameters.env",
      '"../env.tar.gz"',
      "paths inside the model's folder, which is all that reaches the host",
      "put the file into the model's folder, where a symbolic link to it will do, and give its path there",
    ],
  ],
  [
    "a flag of two lines",
    { server: { extraFlags: ["--id=a\n--b"] } },
    [
      "server.extraFlags[0]",
      '"--id=a\\n--b"',
      "a tritonserver flag of the form --name or --name=value that no other setting owns",
      "write --name=value in one line, one flag an item",
    ],
  ],
  [
    "the directory of the project",
    { host: { directory: ".local/../../project" } },
    [
      "host.directory",
      '".local/../../project"',
      "the path of a folder that belongs to this deployment alone",
      "name a folder inside it, for example /var/lib/xsched-triton",
    ],
  ],
  [
    "the priority as a parameter",
    { models: [{ ...a, parameters: { xsched_priority: 1 } }] },
    [
      "models[0].parameters.xsched_priority",
      "1",
      "parameters that no setting owns",
      "remove it, and set the model's priority",
    ],
  ],
  [
    "GPUs without a GPU",
    { models: [{ ...a, instanceGroups: [{ kind: "gpu" }] }] },
    [
      "models[0].instanceGroups[0].kind",
      '"gpu"',
      "instances on the CPU with runtime process, which has no GPU",
      "set kind to cpu without gpus, or set runtime.kind to container",
    ],
  ],
  [
    "a rate limiter that Triton would ignore",
    { models: [{ ...a, instanceGroups: [{ rateLimiter: { priority: 1 } }] }] },
    [
      "models[0].instanceGroups[0].rateLimiter",
      "an object",
      "a rate limiter only where Triton honours it",
      'add "--rate-limit=execution_count" to server.extraFlags, or remove rateLimiter',
    ],
  ],
  [
    "models that are not a list",
    { models: { a } },
    [
      "models",
      "an object",
      "a list of models, no name twice",
      "give a list, for example [{ name: my-model, source: models/my-model }]",
    ],
  ],
];

describe("faults of the settings", () => {
  for (const [what, raw, [path, value, allowed, fix]] of cases) {
    it(`reports ${what}`, () => {
      const expected: Fault = { path, value, allowed, fix };
      assert.deepEqual(refusal(raw).faults, [expected]);
    });
  }

  it("are reported in one message", () => {
    const raw = {
      host: { ...SSH, user: "ro ot" },
      runtime: { kind: "container", image: IMAGE },
      models: [{ ...a, priority: 300 }, { name: "a" }],
    };
    assert.equal(
      refusal(raw).message,
      `4 faults in the settings of stack dev; nothing was changed.

  host.user: "ro ot"
    allowed: the name of a user on the machine
    fix: give the login name, for example ubuntu

  models[0].priority: 300
    allowed: an integer from -255 to 255, or one of max (255), default (0), min (-255)
    fix: give 255 (max), the most urgent, or less

  models[1].source: (not set)
    allowed: the path of a folder on this machine, or s3://bucket/prefix
    fix: add source: models/my-model

  models[1].name: "a"
    allowed: a name that no other has; models[0] has this one
    fix: rename one of the two
`,
    );
  });

  it("never show a private key, wherever it is", () => {
    for (const raw of [
      { host: PRIVATE_KEY },
      { host: { ...SSH, address: PRIVATE_KEY } },
      { host: { ...SSH, privatekey: PRIVATE_KEY } },
      { host: { ...SSH, privateKey: { pem: PRIVATE_KEY } } },
      { host: { ...SSH, hostKey: PRIVATE_KEY } },
      { host: { ...SSH, user: "bm90IGEga2V5".repeat(10) } },
      { server: { address: PRIVATE_KEY } },
    ]) {
      assert.doesNotMatch(refusal(raw).message, /bm90/);
    }
  });

  it("shorten long values", () => {
    const [fault] = refusal({ server: { logLevel: "x".repeat(1000) } }).faults;
    assert.equal(fault?.value, `"${"x".repeat(60)}…" (1000 characters)`);
  });
});
