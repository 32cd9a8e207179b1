import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";

import * as pulumi from "@pulumi/pulumi";

import type { Fault } from "../../../components/settings";
import { isLoopback } from "../../../components/settings";
import { CERTIFICATE, CERTIFICATE_KEY, parsed, refusal, SSH } from "./context";

const OPEN = { address: "0.0.0.0" };
const HASH = "0".repeat(64);
const OTHER_KEY = generateKeyPairSync("ed25519").privateKey.export({
  type: "pkcs8",
  format: "pem",
}) as string;
const SEALED_KEY = generateKeyPairSync("ed25519").privateKey.export({
  ...{ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" },
}) as string;

const DECIDE: readonly [string, string] = [
  "one of off, selfSigned, certificate, as server.address lets others in",
  "decide: off keeps present clients working, in a network that you trust; with selfSigned or a certificate (certificateFile and keyFile) they have to use https:// and TLS for gRPC",
];
const CERTIFICATES = "one or more certificates in PEM form, the gateway's own first";

/** A config and its only fault: path, given value, what is allowed, fix. */
const cases: readonly (readonly [string, object, readonly [string, string, string, string]])[] = [
  [
    "an address that others can reach, until somebody has decided about TLS",
    { server: OPEN },
    ["gateway.tls", "(not set)", ...DECIDE],
  ],
  [
    "the same on a machine over SSH, with tokens",
    { host: SSH, server: { address: "10.0.0.7" }, gateway: { tokens: [{ name: "a", sha256: HASH }] } },
    ["gateway.tls", "(not set)", ...DECIDE],
  ],
  [
    "a name as an address of the gateway",
    { server: { address: "gpu1.example.com" }, gateway: { tls: "off" } },
    [
      "server.address",
      '"gpu1.example.com"',
      "an IP address of the host, for the gateway",
      "give the address that the name stands for, or 0.0.0.0 for all",
    ],
  ],
  [
    "to have no gateway on such an address",
    { server: OPEN, gateway: { enabled: false, tls: "off" } },
    [
      "gateway.enabled",
      "false",
      "true, as server.address is not a loopback address: only the gateway may listen there",
      "remove it, or remove server.address and reach Triton through a tunnel",
    ],
  ],
  [
    "tokens that nobody would ask for",
    { gateway: { tokens: [{ name: "a", sha256: HASH }], tls: "selfSigned" } },
    [
      "gateway.enabled",
      "(not set)",
      "true or false, as there is tls, tokens for a gateway that is off",
      "set it to true, or set server.address to an address that clients can reach",
    ],
  ],
  [
    "a port of Triton at which clients reach the gateway",
    { server: { ...OPEN, httpPort: 18001 }, gateway: { tls: "off" } },
    ["gateway.upstreamPorts.grpc", "18001", "a port that server.httpPort does not use", "choose another"],
  ],
  [
    "one port of Triton twice",
    { gateway: { enabled: true, upstreamPorts: { http: 18002 } } },
    [
      "gateway.upstreamPorts.metrics",
      "18002",
      "a port that gateway.upstreamPorts.http does not use",
      "choose another",
    ],
  ],
  [
    "a certificate without its key",
    { server: OPEN, gateway: { certificateFile: "tls/chain.pem" } },
    ["gateway.keyFile", "(not set)", "the private key of the certificate", "add keyFile"],
  ],
  [
    "a key without its certificate",
    { server: OPEN, gateway: { tls: "certificate", key: pulumi.secret(CERTIFICATE_KEY) } },
    ["gateway.certificate", "(not set)", CERTIFICATES, "add certificate"],
  ],
  [
    "a certificate that is not used",
    { server: OPEN, gateway: { tls: "selfSigned", certificate: CERTIFICATE } },
    [
      "gateway.certificate",
      "(given with tls selfSigned)",
      "a certificate and its key only with tls certificate",
      "set tls to certificate, or remove it",
    ],
  ],
  [
    "a certificate given twice",
    {
      server: OPEN,
      gateway: { certificate: CERTIFICATE, certificateFile: "tls/chain.pem", keyFile: "tls/key.pem" },
    },
    [
      "gateway.certificateFile",
      '"tls/chain.pem"',
      "certificate or certificateFile, not both",
      "remove one of the two",
    ],
  ],
  [
    "a file that is not there",
    { server: OPEN, gateway: { certificateFile: "tls/none", keyFile: "tls/key.pem" } },
    [
      "gateway.certificateFile",
      '"tls/none"',
      "a file that exists and can be read",
      "create /project/tls/none, or correct the path (relative to /project)",
    ],
  ],
  [
    "a file without a certificate",
    { server: OPEN, gateway: { certificateFile: "tls/empty.pem", keyFile: "tls/key.pem" } },
    [
      "gateway.certificateFile",
      '"tls/empty.pem"',
      `a file with ${CERTIFICATES}`,
      "give certificates in PEM form: -----BEGIN CERTIFICATE-----",
    ],
  ],
  [
    "a damaged certificate",
    { server: OPEN, gateway: { tls: "selfSigned", clientCa: CERTIFICATE.replace("MIIB", "MIIC") } },
    [
      "gateway.clientCa",
      `a string of ${CERTIFICATE.length} characters`,
      "one or more certificates in PEM form",
      "it is damaged: copy it again, whole",
    ],
  ],
  [
    "the key of another certificate",
    { server: OPEN, gateway: { certificate: CERTIFICATE, key: OTHER_KEY } },
    [
      "gateway.key",
      "(secret)",
      "the private key of the gateway's own certificate, which comes first",
      "give the key that this certificate was made with, or put its certificate first",
    ],
  ],
  [
    "a key with a passphrase",
    { server: OPEN, gateway: { certificate: CERTIFICATE, key: SEALED_KEY } },
    [
      "gateway.key",
      "(secret)",
      "a private key in PEM form, without a passphrase, encrypted in the stack config",
      "remove its passphrase: openssl pkey -in KEY_FILE -out NEW_KEY_FILE",
    ],
  ],
  [
    "certificates of clients without TLS",
    { server: OPEN, gateway: { tls: "off", clientCaFile: "tls/chain.pem" } },
    [
      "gateway.clientCaFile",
      "(given with tls off)",
      "certificates of clients only with TLS",
      "set tls to selfSigned or certificate, or remove it",
    ],
  ],
  [
    "a token that can be guessed",
    { server: OPEN, gateway: { tls: "selfSigned", tokens: [{ name: "a", token: "letmein" }] } },
    [
      "gateway.tokens[0].token",
      "(secret)",
      "16 to 512 letters, digits and . _ ~ + / -, encrypted in the stack config",
      `pulumi config set --secret --path 'xsched-triton:gateway.tokens[0].token' "$(openssl rand -hex 32)"`,
    ],
  ],
  [
    "a client without a token",
    { server: OPEN, gateway: { tls: "selfSigned", tokens: [{ name: "a" }] } },
    [
      "gateway.tokens[0].token",
      "(not set)",
      "token or sha256, exactly one",
      "add token as a secret, or the SHA-256 hash of a random token",
    ],
  ],
  [
    "two tokens of one name",
    {
      server: OPEN,
      gateway: {
        tls: "selfSigned",
        tokens: [
          { name: "a", sha256: HASH },
          { name: "a", sha256: HASH },
        ],
      },
    },
    [
      "gateway.tokens[1].name",
      '"a"',
      "a name that no other token has; gateway.tokens[0] has this one",
      "rename one of the two",
    ],
  ],
];

describe("settings of the gateway", () => {
  for (const [what, raw, [path, value, allowed, fix]] of cases) {
    it(`refuse ${what}`, () => {
      const expected: Fault = { path, value, allowed, fix };
      assert.deepEqual(refusal(raw).faults, [expected]);
    });
  }

  it("accept each decision, and each way to give a certificate", () => {
    const accepted = [
      { tls: "off" },
      { tls: "selfSigned", clientCaFile: "tls/chain.pem" },
      { certificateFile: "tls/chain.pem", keyFile: "tls/key.pem" },
      { tls: "certificate", certificate: CERTIFICATE.replaceAll("\n", "\r\n"), key: CERTIFICATE_KEY },
    ];
    for (const gateway of accepted) parsed({ server: OPEN, gateway });
    const { certificate, keyFile } = parsed({
      server: OPEN,
      gateway: { certificate: CERTIFICATE.replaceAll("\n", "\r\n"), keyFile: "tls/key.pem" },
    }).gateway;
    assert.deepEqual([certificate, keyFile], [CERTIFICATE, "/project/tls/key.pem"]);
  });

  it("may be there while the gateway is off by decision", () => {
    const gateway = { enabled: false, tls: "selfSigned", tokens: [{ name: "a", sha256: HASH }] };
    assert.equal(parsed({ gateway }).gateway.enabled, false);
  });

  it("keep a token and a key secret", async () => {
    const token = "a-token-of-a-team-2026";
    const { tokens, key } = parsed({
      server: OPEN,
      gateway: { certificate: CERTIFICATE, key: CERTIFICATE_KEY, tokens: [{ name: "a", token }] },
    }).gateway;
    for (const read of [tokens[0]?.token, key])
      assert.ok(read !== undefined && (await pulumi.isSecret(read)));
  });

  it("tell a loopback address from one that others can reach", () => {
    for (const address of ["127.0.0.1", "127.8.0.1", "::1", "localhost"]) assert.ok(isLoopback(address));
    for (const address of ["0.0.0.0", "::", "127.example.com", "10.0.0.1", "gpu1"])
      assert.ok(!isLoopback(address));
  });
});
