// How a client on this machine reaches a stack's server, for a request to try.

import { isLoopback } from "./proxy.mjs";

/**
 * The URL of the HTTP API, and what curl needs beside it, as words for a shell. Behind a gateway these are the clients' own,
 * otherwise Triton's on the host.
 *
 * @param server the result of `describeServer`
 * @param environment of the shell that the request is copied into
 */
export function clientAccess({ http, outputs }, environment = process.env) {
  const { gateway, endpoints, host } = outputs;
  if (gateway === undefined) {
    const url = `http://${http}`;
    return { url, flags: direct(url, environment) };
  }
  return {
    url: endpoints.http,
    flags: [
      ...direct(endpoints.http, environment),
      ...(gateway.tls === "selfSigned" ? ["--cacert", certificateFile(host)] : []),
      ...(gateway.clientCertificates ? ["--cert", "CLIENT.pem", "--key", "CLIENT_KEY.pem"] : []),
      ...(gateway.tokens.length > 0 ? ["-H", '"authorization: Bearer $TOKEN"'] : []),
    ],
  };
}

/** Keeps curl from asking a proxy for this machine's own address. It matters only to those who have a proxy. */
function direct(url, environment) {
  const { hostname } = new URL(url);
  // curl reads HTTP_PROXY in small letters only.
  const names = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
  return isLoopback(hostname) && names.some((name) => environment[name]) ? ["--noproxy", "'*'"] : [];
}

/** What has to be done before the request works, one line each. */
export function preparations({ outputs }, stack) {
  const { gateway, host } = outputs;
  if (gateway === undefined) return [];
  const output = `pulumi stack output --stack ${stack} --json | jq -r .gateway.certificate >${certificateFile(host)}`;
  return [
    ...(gateway.tls === "selfSigned" && host.ssh ? [output] : []),
    ...(gateway.tokens.length > 0 ? [`TOKEN=…   # the token of ${gateway.tokens.join(" or ")}`] : []),
  ];
}

/** The certificate that the gateway has made: on this machine the host's own file. */
function certificateFile({ directory, ssh }) {
  if (ssh) return "gateway.pem";
  const file = `${directory}/gateway/certificate.pem`;
  return /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`;
}
