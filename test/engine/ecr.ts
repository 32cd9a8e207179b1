import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as path from "node:path";
import { buffer } from "node:stream/consumers";

import { REGISTRY } from "../fixtures/standInCloud/identity";
import { imagesFolder, type Refusal, refusalOf } from "../fixtures/standInCloud/images";
import { allocateAddress } from "../fixtures/standInCloud/machine";
import { hasProgram, type OwnNames } from "./dockerEngine";
import { Registry } from "./registry";
import type { StandInCloud } from "./standInCloud";

/**
 * ECR for the stand-in for AWS, under its real name and over TLS: a registry on the loopback interface, behind ECR's own
 * rules. Only daemons that get `names` find and trust it.
 */
export class Ecr {
  private constructor(
    private readonly registry: Registry,
    private readonly server: https.Server,
    public readonly names: OwnNames,
  ) {}

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    if (!hasProgram("openssl")) return "openssl is not installed (Debian: openssl)";
    return Registry.missing;
  }

  public static async serve(cloud: StandInCloud): Promise<Ecr> {
    const folder = cloud.file("names");
    fs.mkdirSync(folder, { recursive: true });
    fs.mkdirSync(imagesFolder(), { recursive: true });
    const names = { hosts: path.join(folder, "hosts"), certificates: path.join(folder, "certificate.pem") };
    const key = path.join(folder, "key.pem");
    execFileSync(
      "openssl",
      [
        ...[
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:prime256v1",
          "-nodes",
          "-days",
          "2",
        ],
        ...["-subj", "/CN=stand-in", "-addext", `subjectAltName=DNS:${REGISTRY}`],
        ...["-keyout", key, "-out", names.certificates],
      ],
      { stdio: "ignore" },
    );
    const address = allocateAddress();
    fs.writeFileSync(names.hosts, `127.0.0.1 localhost\n${address} ${REGISTRY}\n`);
    const registry = await Registry.open(imagesFolder());
    const server = https.createServer(
      { key: fs.readFileSync(key), cert: fs.readFileSync(names.certificates) },
      (request, response) => {
        answer(registry.port, request, response).catch((error: unknown) => {
          response.destroy(error as Error);
        });
      },
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(443, address, resolve);
    });
    return new Ecr(registry, server, names);
  }

  /** Tags of a repository. */
  public async tags(repository: string): Promise<readonly string[]> {
    const { tags } = (await this.registry.ask(`${repository}/tags/list`)) as { tags?: string[] | null };
    return tags ?? [];
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await this.registry.stop();
  }
}

/** Refuses what ECR refuses, and passes everything else to the registry. */
async function answer(
  port: number,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const { method = "", url = "", headers } = request;
  // A manifest is small, and ECR knows its digest before it decides.
  const manifest = method === "PUT" && url.includes("/manifests/") ? await buffer(request) : undefined;
  const refusal = refusalOf({
    method,
    target: url,
    authorization: headers.authorization,
    digest: manifest && `sha256:${createHash("sha256").update(manifest).digest("hex")}`,
  });
  if (refusal !== undefined) {
    refuse(refusal, response);
    return;
  }
  const passed = { ...headers, "x-forwarded-proto": "https" };
  delete passed.authorization;
  const forwarded = http.request(
    { port, host: "127.0.0.1", method, path: url, headers: passed },
    (answered) => {
      response.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(response);
    },
  );
  forwarded.on("error", (error) => {
    response.destroy(error);
  });
  if (manifest) forwarded.end(manifest);
  else request.pipe(forwarded);
}

function refuse({ status, code, message }: Refusal, response: http.ServerResponse): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "docker-distribution-api-version": "registry/2.0",
    ...(status === 401 && {
      "www-authenticate": `Basic realm="https://${REGISTRY}/",service="ecr.amazonaws.com"`,
    }),
  });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
