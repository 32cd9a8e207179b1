import * as http from "node:http";
import { type AddressInfo } from "node:net";

/** A request that the stand-in received. */
export interface Received {
  readonly at: number;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An HTTP server with scripted answers to inference requests. */
export class StandInTriton {
  public readonly received: Received[] = [];

  private constructor(
    private readonly server: http.Server,
    public readonly url: string,
  ) {}

  /** @param answer the answer to the request with this number: delay in milliseconds and status */
  public static async start(
    answer: (number: number) => { delay: number; status?: number },
  ): Promise<StandInTriton> {
    const server = http.createServer((request, response) => {
      const at = performance.now();
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        standIn.received.push({
          at,
          url: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(parts),
        });
        const { delay, status = 200 } = answer(standIn.received.length - 1);
        setTimeout(() => {
          response.writeHead(status).end(status === 200 ? "{}" : '{"error":"as the test wants"}');
        }, delay);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const standIn = new StandInTriton(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return standIn;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
