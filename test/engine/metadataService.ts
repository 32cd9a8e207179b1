import * as http from "node:http";
import type { AddressInfo } from "node:net";

const TOKEN = "/latest/api/token";
const NOTICE = "/latest/meta-data/spot/instance-action";

/** Stands in for the metadata service of a spot instance, version 2. */
export class MetadataService {
  /** The announced action of AWS, if any. */
  public notice: string | undefined;
  /** How often a client with a token has requested the notice. */
  public asked = 0;

  private readonly server = http.createServer((request, response) => {
    if (request.method === "PUT" && request.url === TOKEN) {
      response.end("the token");
    } else if (request.headers["x-aws-ec2-metadata-token"] !== "the token") {
      response.writeHead(401).end();
    } else if (request.url !== NOTICE || this.notice === undefined) {
      this.asked += request.url === NOTICE ? 1 : 0;
      response.writeHead(404).end();
    } else {
      this.asked++;
      response.end(this.notice);
    }
  });

  public static async start(): Promise<MetadataService> {
    const service = new MetadataService();
    await new Promise<void>((resolve) => service.server.listen(0, "127.0.0.1", resolve));
    return service;
  }

  public get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
