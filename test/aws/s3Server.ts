import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as http from "node:http";
import * as path from "node:path";

import { freePorts } from "../engine/ports";
import { pythonTools } from "./pythonTools";

/** How the server can spoil the answer to a request for one object. */
export type Mischief = "corrupt" | "corrupt once" | "deny" | "hang";

/**
 * S3 on the loopback interface: moto behind a proxy that counts fetched objects and can spoil them. Programs find it
 * through `environment`.
 */
export class S3Server {
  /** Keys of the objects whose content was requested, in order. */
  public readonly fetched: string[] = [];
  public readonly mischief = new Map<string, Mischief>();
  private readonly proxy: http.Server;

  private constructor(
    private readonly moto: ChildProcess,
    private readonly motoPort: number,
    private readonly port: number,
    /** The folder of the real AWS CLI. */
    public readonly programs: string,
  ) {
    this.proxy = http.createServer((request, response) => {
      this.pass(request, response);
    });
  }

  public static async start(): Promise<S3Server> {
    const programs = pythonTools();
    const [motoPort = 0, port = 0] = await freePorts(2);
    const moto = spawn(path.join(programs, "moto_server"), ["-H", "127.0.0.1", "-p", String(motoPort)], {
      stdio: ["ignore", "ignore", process.env.MOCHA_VERBOSE ? "inherit" : "ignore"],
    });
    const server = new S3Server(moto, motoPort, port, programs);
    await new Promise<void>((resolve) => server.proxy.listen(port, "127.0.0.1", resolve));
    for (let attempt = 0; ; attempt++) {
      try {
        await server.send("GET", "/");
        return server;
      } catch (error) {
        if (attempt > 1200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  public get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** For programs that use AWS; prepend `path` to PATH. */
  public get environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: this.url,
      AWS_ACCESS_KEY_ID: "testing",
      AWS_SECRET_ACCESS_KEY: "testing-secret",
      AWS_REGION: "us-east-1",
      AWS_EC2_METADATA_DISABLED: "true",
      PATH: `${this.programs}:${process.env.PATH ?? ""}`,
    };
  }

  public async stop(): Promise<void> {
    this.proxy.closeAllConnections();
    await new Promise((resolve) => this.proxy.close(resolve));
    this.moto.kill();
  }

  /** Ends running requests. */
  public dropConnections(): void {
    this.proxy.closeAllConnections();
  }

  public createBucket(bucket: string): Promise<string> {
    return this.expect("PUT", `/${bucket}`);
  }

  /** Turns on versioning. */
  public keepVersions(bucket: string): Promise<string> {
    return this.expect(
      "PUT",
      `/${bucket}?versioning`,
      "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    );
  }

  public put(bucket: string, key: string, body: string | Buffer): Promise<string> {
    return this.expect("PUT", `/${bucket}/${key}`, body);
  }

  public remove(bucket: string, key: string): Promise<string> {
    return this.expect("DELETE", `/${bucket}/${key}`);
  }

  /** Uploads an object in parts, so that its ETag is not a digest of its content alone. */
  public async putInParts(bucket: string, key: string, parts: readonly Buffer[]): Promise<string> {
    const begun = await this.expect("POST", `/${bucket}/${key}?uploads`);
    const id = /<UploadId>([^<]+)</.exec(begun)?.[1] ?? "";
    const list: string[] = [];
    for (const [index, part] of parts.entries()) {
      await this.expect("PUT", `/${bucket}/${key}?partNumber=${index + 1}&uploadId=${id}`, part);
      const etag = createHash("md5").update(part).digest("hex");
      list.push(`<Part><PartNumber>${index + 1}</PartNumber><ETag>"${etag}"</ETag></Part>`);
    }
    const body = `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`;
    return this.expect("POST", `/${bucket}/${key}?uploadId=${id}`, body);
  }

  private async expect(method: string, target: string, body?: string | Buffer): Promise<string> {
    const { status, text } = await this.send(method, target, body);
    if (status >= 300) throw new Error(`${method} ${target}: ${status} ${text}`);
    return text;
  }

  private send(
    method: string,
    target: string,
    body?: string | Buffer,
  ): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        // moto allows requests with any key.
        {
          ...{ host: "127.0.0.1", port: this.motoPort, method, path: target },
          headers: {
            authorization: "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request",
            "content-length": body === undefined ? 0 : Buffer.byteLength(body),
          },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, text });
          });
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }

  private pass(request: http.IncomingMessage, response: http.ServerResponse): void {
    const [, , ...steps] = (request.url ?? "").split("?")[0]?.split("/") ?? [];
    const key = decodeURIComponent(steps.join("/"));
    const mischief = this.mischief.get(key);
    if (request.method === "GET" && key !== "") this.fetched.push(key);
    if (mischief === "deny") {
      response.writeHead(403, { "content-type": "application/xml" });
      response.end(
        request.method === "HEAD"
          ? undefined
          : "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
      );
      return;
    }
    const { method, url: target, headers } = request;
    const forward = http.request(
      { host: "127.0.0.1", port: this.motoPort, method, path: target, headers },
      (answer) => {
        const spoiled = method === "GET" ? mischief : undefined;
        if (spoiled === "corrupt once") this.mischief.delete(key);
        if (spoiled === undefined) {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
          return;
        }
        // Without anything that would tell the client of wrong content.
        const kept = Object.entries(answer.headers).filter(([name]) => !name.startsWith("x-amz-checksum"));
        response.writeHead(answer.statusCode ?? 502, Object.fromEntries(kept));
        if (spoiled === "hang") {
          answer.once("data", (chunk: Buffer) => response.write(chunk.subarray(0, 1)));
          return;
        }
        answer.on("data", (chunk: Buffer) => response.write(chunk.map((byte) => byte ^ 1)));
        answer.on("end", () => response.end());
      },
    );
    forward.on("error", () => response.destroy());
    request.pipe(forward);
  }
}
