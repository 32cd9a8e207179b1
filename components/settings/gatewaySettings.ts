import * as path from "node:path";

import { gatewayTls } from "./allowedValues";
import { show } from "./fault";
import { locationFields } from "./hostSettings";
import { gatewayAddress, isLoopback, isUnfitName, UNFIT_NAME } from "./listenAddress";
import { belongTogether, certificateFault, keyFault, unixLines } from "./pem";
import { pemFile } from "./pemFile";
import { type Place } from "./place";
import {
  boolean,
  defaulted,
  integer,
  keyOf,
  list,
  mapped,
  object,
  optional,
  plain,
  type ReadBy,
  refuseRepeatedKey,
  required,
  type Rule,
  secret,
  text,
} from "./rules";
import { port, portFields, refusePortClash } from "./serverSettings";

const CERTIFICATES = "one or more certificates in PEM form, the gateway's own first";
const AUTHORITIES = "one or more certificates in PEM form";

const pem = (allowed: string): Rule<string> =>
  mapped(text({ allowed, example: '"-----BEGIN CERTIFICATE-----…"', refuse: certificateFault }), unixLines);

const privateKey = secret({
  what: "a key",
  config: {
    allowed: "a private key in PEM form, without a passphrase, encrypted in the stack config",
    fix: "pulumi config set --secret --path xsched-triton:gateway.key < KEY_FILE",
  },
  arguments: {
    allowed: "a private key in PEM form, without a passphrase",
    fix: "pass the contents of the key file, from a secret in the stack config",
  },
  normalize: unixLines,
  refuse(value) {
    const fix = keyFault(value);
    return fix === undefined ? undefined : { shown: "(secret)", fix };
  },
});

/** RFC 6750, 2.1: what may follow `Bearer`. The shortest that nobody guesses has 16 characters. */
const TOKEN = /^[A-Za-z0-9._~+/-]{16,512}={0,2}$/;

const token = secret({
  what: "a token",
  config: {
    allowed: "16 to 512 letters, digits and . _ ~ + / -, encrypted in the stack config",
    fix: `pulumi config set --secret --path 'xsched-triton:gateway.tokens[0].token' "$(openssl rand -hex 32)"`,
  },
  arguments: {
    allowed: "16 to 512 letters, digits and . _ ~ + / -",
    fix: "pass a random text, from a secret in the stack config, for example of: openssl rand -hex 32",
  },
  refuse: (value) => (TOKEN.test(value) ? undefined : { shown: "(secret)" }),
});

const clientToken = object({
  name: "ClientToken",
  description: "A token that clients prove themselves with.",
  allowed: "an object with a name, and token or sha256",
  fields: {
    name: required(
      text({
        allowed: "a name of 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
        example: "nightly",
        refuse: (value) =>
          /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value)
            ? undefined
            : "shorten it, or remove other characters",
      }),
      "Name of the client or team, for the access log.",
    ),
    token: optional(
      token,
      "The token, which clients send as `authorization: Bearer TOKEN`, over gRPC as metadata. A secret; the host gets its SHA-256 hash only.",
      "given by `sha256`",
    ),
    sha256: optional(
      text({
        allowed: "64 hexadecimal digits",
        example: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        refuse: (value) =>
          /^[0-9a-f]{64}$/.test(value)
            ? undefined
            : "give the hash of a random token: printf %s TOKEN | sha256sum",
      }),
      "SHA-256 hash of a random token that the stack need not know.",
      "made from `token`",
    ),
    requestsPerSecond: defaulted(
      integer(0, 1_000_000, 100),
      0,
      "How many requests a second its clients may send together; more are refused with 429. 0: any number.",
    ),
  },
  check(_, at, raw) {
    const given = ["token", "sha256"].filter((key) => keyOf(raw, key) !== undefined);
    if (given.length === 1) return;
    at.at("token").faultShown(
      given.length === 0 ? "(not set)" : "(given beside sha256)",
      "token or sha256, exactly one",
      given.length === 0
        ? "add token as a secret, or the SHA-256 hash of a random token"
        : "remove one of the two",
    );
  },
});

const limits = object({
  name: "GatewayLimits",
  description: "What the gateway refuses of clients, before it reaches Triton.",
  allowed: "an object with limits",
  fields: {
    bodyMegabytes: defaulted(integer(1, 4096, 64), 64, "Size of a request's body.", { unit: "MiB" }),
    jsonKilobytes: defaulted(
      integer(1, 16384, 1024),
      1024,
      "Size of the JSON in a request's body. Tensors can follow it in binary form.",
      { unit: "KiB" },
    ),
    headerKilobytes: defaulted(integer(1, 64, 16), 16, "Size of a request's headers.", { unit: "KiB" }),
    connections: defaulted(integer(1, 100_000, 1000), 1000, "Connections of all clients together."),
    requestSeconds: defaulted(integer(1, 86_400, 300), 300, "How long a request may take to be answered.", {
      unit: "seconds",
    }),
  },
});

const upstreamPorts = object({
  name: "UpstreamPorts",
  description: "Triton's own ports on 127.0.0.1 of the host, behind the gateway.",
  allowed: "an object with ports",
  fields: {
    http: defaulted(port(18000), 18000, "TCP port of the HTTP API."),
    grpc: defaulted(port(18001), 18001, "TCP port of the gRPC API."),
    metrics: defaulted(port(18002), 18002, "TCP port of the metrics."),
  },
});

const tlsField = optional(
  gatewayTls,
  "What protects the connections of clients.",
  "`certificate` where one is given, otherwise `off` on a loopback address; required on any other",
);

const certificateFields = {
  certificateFile: optional(
    pemFile(CERTIFICATES, "tls/chain.pem", certificateFault),
    "File on the machine that deploys with the gateway's certificate and those that lead from it to its authority. Needs `keyFile`.",
    "`certificate`, or none",
  ),
  keyFile: optional(
    pemFile("a private key in PEM form, without a passphrase", "tls/key.pem", keyFault),
    "File on the machine that deploys with the private key of `certificateFile`. Its content is kept in the stack's state, encrypted.",
    "`key`, or none",
  ),
  certificate: optional(
    pem(CERTIFICATES),
    "As `certificateFile`, the text itself.",
    "`certificateFile`, or none",
  ),
  key: optional(privateKey, "Private key of `certificate`. A secret.", "`keyFile`, or none"),
  clientCaFile: optional(
    pemFile(AUTHORITIES, "tls/clients.pem", certificateFault),
    "File on the machine that deploys with the certificates of authorities. Only clients with a certificate of theirs are let in. Needs TLS.",
    "clients need no certificate",
  ),
  clientCa: optional(pem(AUTHORITIES), "As `clientCaFile`, the text itself.", "clients need no certificate"),
};

const serviceFields = {
  tls: tlsField,
  ...certificateFields,
  tokens: defaulted(
    list(clientToken, {
      allowed: "a list of tokens",
      check: refuseRepeatedKey(
        "name",
        (first) => `a name that no other token has; ${first} has this one`,
        "rename one of the two",
      ),
    }),
    [],
    "Tokens of which each request needs one, except for those to the health of the server. With none, whoever reaches the ports can use the models.",
  ),
  metrics: plain(
    defaulted(
      boolean,
      false,
      "Whether clients can read the metrics, at the metrics port. They tell the names of all models and how busy they are.",
    ),
  ),
  limits: defaulted(limits, {}, "What the gateway refuses of clients, before it reaches Triton."),
  upstreamPorts: plain(
    defaulted(upstreamPorts, {}, "Triton's own ports on 127.0.0.1 of the host, behind the gateway."),
  ),
  uncheckedStreams: defaulted(
    boolean,
    false,
    "Whether streams over gRPC pass where the host's HAProxy is older than 2.5, such as that of Ubuntu 22.04, and cannot look into their messages: one message with a wrong shape can then end a model. Newer ones look into each message, whatever this says.",
  ),
  accessLog: defaulted(
    boolean,
    true,
    "Whether each request is logged on the host: who, when, what was asked, how it ended; never its content.",
  ),
};

/** The keys of the stack config. */
export const stackGatewayRule = object({
  name: "StackGateway",
  description: "What clients reach Triton through.",
  allowed: "an object with settings of the gateway",
  fields: {
    enabled: plain(
      optional(
        boolean,
        "Whether clients reach Triton through a gateway. Always on an address that others can reach.",
        "true if `server.address` is not a loopback address",
      ),
    ),
    ...serviceFields,
  },
  check(_, at, raw) {
    checkCertificates(raw, at);
  },
});

const placeFields = {
  address: required(
    gatewayAddress,
    "Address of the host on which the gateway listens; `0.0.0.0` and `::` stand for all of them.",
    { example: "0.0.0.0" },
  ),
  ...portFields,
  metrics: serviceFields.metrics,
  tls: serviceFields.tls,
};

const A_GATEWAY = "an object with the arguments of a gateway";

/** Where clients reach a gateway, without any secret. */
export const gatewayPlace = object({ allowed: A_GATEWAY, fields: placeFields });

const optionFields = { ...placeFields, ...serviceFields };

/** How a gateway works. */
export const gatewayOptions = object({ allowed: A_GATEWAY, fields: optionFields, check: checkOptions });

export const gatewayInputs = object({
  name: "Gateway",
  description: "What clients reach a server through.",
  allowed: A_GATEWAY,
  fields: { ...locationFields, ...optionFields },
  check: checkOptions,
});

export type GatewayOptions = ReadBy<typeof gatewayOptions>;

function checkOptions(
  options: Parameters<typeof refusePortClash>[0] & { readonly address: unknown },
  at: Place,
  raw: unknown,
): void {
  refusePortClash(options, at);
  refuseUpstreamClash(raw, keyOf(raw, "upstreamPorts"), at.at("upstreamPorts"), at);
  checkCertificates(raw, at);
  if (typeof options.address === "string") requireTls(raw, at, options.address, at.at("address").path);
}

const UPSTREAM = { http: "httpPort", grpc: "grpcPort", metrics: "metricsPort" } as const;

/**
 * Refuses a port of Triton that clients are to reach the gateway at, and one that is given twice.
 *
 * @param server the raw ports for clients, which are at `place`
 * @param upstream the raw ports of Triton, which are at `at`
 */
export function refuseUpstreamClash(server: unknown, upstream: unknown, at: Place, place: Place): void {
  const taken = new Map<unknown, string>();
  const usualOf = { httpPort: 8000, grpcPort: 8001, metricsPort: 8002 };
  for (const [key, usual] of Object.entries(usualOf)) {
    taken.set(keyOf(server, key) ?? usual, place.at(key).path);
  }
  Object.keys(UPSTREAM).forEach((key, index) => {
    const number = keyOf(upstream, key) ?? 18000 + index;
    const other = taken.get(number);
    if (typeof number === "number" && other !== undefined) {
      at.at(key).fault(number, `a port that ${other} does not use`, "choose another");
    }
    taken.set(number, at.at(key).path);
  });
}

/** Refuses clients from elsewhere until somebody has decided about TLS. */
export function requireTls(gateway: unknown, at: Place, address: string, addressPath: string): void {
  const given = ["tls", "certificate", "certificateFile"].some((key) => keyOf(gateway, key) !== undefined);
  if (given || isLoopback(address)) return;
  at.at("tls").fault(
    undefined,
    `${gatewayTls.allowed}, as ${addressPath} lets others in`,
    "decide: off keeps present clients working, in a network that you trust; with selfSigned or a certificate (certificateFile and keyFile) they have to use https:// and TLS for gRPC",
  );
}

/** The two ways to give a text. */
const PAIRS = [
  ["certificate", "certificateFile"],
  ["key", "keyFile"],
  ["clientCa", "clientCaFile"],
] as const;

/** Looks at the raw values, so that no other fault hides one. */
function checkCertificates(raw: unknown, at: Place): void {
  const has = (key: string): boolean => keyOf(raw, key) !== undefined;
  for (const [inline, file] of PAIRS) {
    if (has(inline) && has(file)) {
      at.at(file).fault(keyOf(raw, file), `${inline} or ${file}, not both`, "remove one of the two");
    }
  }
  const [certificate, key] = [PAIRS[0].find(has), PAIRS[1].find(has)];
  const tls = keyOf(raw, "tls");
  if (tls === "certificate" || (tls === undefined && (certificate ?? key) !== undefined)) {
    if (certificate === undefined) {
      const wanted = key === "key" ? "certificate" : "certificateFile";
      at.at(wanted).fault(undefined, CERTIFICATES, `add ${wanted}`);
    }
    if (key === undefined) {
      const wanted = certificate === "certificate" ? "key" : "keyFile";
      at.at(wanted).faultShown("(not set)", "the private key of the certificate", `add ${wanted}`);
    }
  } else if (tls === "off" || tls === "selfSigned") {
    for (const each of [certificate, key]) {
      if (each === undefined) continue;
      at.at(each).faultShown(
        `(given with tls ${tls})`,
        "a certificate and its key only with tls certificate",
        "set tls to certificate, or remove it",
      );
    }
  }
  const authority = PAIRS[2].find(has);
  if (authority !== undefined && tls === "off") {
    at.at(authority).faultShown(
      "(given with tls off)",
      "certificates of clients only with TLS",
      "set tls to selfSigned or certificate, or remove it",
    );
  }
  refuseStrangers(raw, at, certificate, key);
}

/** Refuses a certificate with the key of another one. */
function refuseStrangers(
  raw: unknown,
  at: Place,
  certificate: string | undefined,
  key: string | undefined,
): void {
  if (certificate === undefined || key === undefined) return;
  const { files, projectDirectory } = at.context;
  const content = (name: string): string | undefined => {
    const value = keyOf(raw, name);
    if (typeof value !== "string") return undefined;
    return name.endsWith("File") ? files.text(path.resolve(projectDirectory, value)) : value;
  };
  const [public_, private_] = [content(certificate), content(key)];
  if (public_ === undefined || private_ === undefined) return;
  if (certificateFault(public_) !== undefined || keyFault(private_) !== undefined) return;
  if (belongTogether(public_, private_)) return;
  at.at(key).faultShown(
    key === "keyFile" ? show(keyOf(raw, key), false) : "(secret)",
    "the private key of the gateway's own certificate, which comes first",
    "give the key that this certificate was made with, or put its certificate first",
  );
}

/** Keys that nobody sets without wanting a gateway. */
const MEANT_FOR_CLIENTS = ["tls", "tokens", ...PAIRS.flat()];

/** How the gateway of a stack goes with its server; looks at the raw values. */
export function checkStackGateway(raw: unknown, at: Place): void {
  const [gateway, server] = [keyOf(raw, "gateway"), keyOf(raw, "server")];
  const place = at.at("gateway");
  const address = keyOf(server, "address") ?? "127.0.0.1";
  const enabled = keyOf(gateway, "enabled");
  if (typeof address !== "string") return;
  const open = !isLoopback(address);
  if (open && enabled === false) {
    place
      .at("enabled")
      .fault(
        false,
        `true, as ${at.at("server").at("address").path} is not a loopback address: only the gateway may listen there`,
        "remove it, or remove server.address and reach Triton through a tunnel",
      );
    return;
  }
  const others = MEANT_FOR_CLIENTS.filter((key) => {
    const value = keyOf(gateway, key);
    return value !== undefined && !(Array.isArray(value) && value.length === 0);
  });
  if (!open && enabled === undefined && others.length > 0) {
    place
      .at("enabled")
      .fault(
        undefined,
        `true or false, as there is ${others.join(", ")} for a gateway that is off`,
        "set it to true, or set server.address to an address that clients can reach",
      );
  }
  if (!open && enabled !== true) return;
  if (isUnfitName(address)) {
    at.at("server")
      .at("address")
      .fault(address, ...UNFIT_NAME);
  }
  refuseUpstreamClash(server, keyOf(gateway, "upstreamPorts"), place.at("upstreamPorts"), at.at("server"));
  requireTls(gateway, place, address, at.at("server").at("address").path);
}
