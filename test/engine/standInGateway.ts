import * as http from "node:http";
import type { AddressInfo } from "node:net";

import type { ServiceProxy } from "./kubelet";
import { loopbackOf } from "./runningPod";

/** How often a request is sent, at most. */
const TRIES = 4;

/** How long a pod may take to answer, in milliseconds, until another one is asked. */
const PATIENCE = 10_000;

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Stands for a Gateway behind an HTTPRoute that is told to retry: chooses one of the pods that are ready for each request, and
 * another one where that doesn't answer. It knows nothing of a pod but what the EndpointSlices say.
 */
export class StandInGateway {
  /** Requests that were sent again. */
  public retried = 0;
  private next = 0;
  /** Of each pod's address, how many requests it has not answered yet. */
  private readonly pending = new Map<string, number>();
  private readonly agent = new http.Agent({ keepAlive: false });

  private constructor(
    private readonly proxy: ServiceProxy,
    private readonly podPort: number,
    private readonly server: http.Server,
  ) {
    server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      this.answer(request).then(
        ({ status, headers, body }) => response.writeHead(status, headers).end(body),
        (error: unknown) => response.writeHead(502).end(String(error)),
      );
    });
  }

  public static async start(
    proxy: ServiceProxy,
    podPort: number,
  ): Promise<{ gateway: StandInGateway; port: number }> {
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return { gateway: new StandInGateway(proxy, podPort, server), port };
  }

  /** How many requests a pod has not answered yet. */
  public inFlightAt(address: string): number {
    return this.pending.get(address) ?? 0;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    this.agent.destroy();
  }

  private async answer(request: http.IncomingMessage): Promise<Answer> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    let failure: unknown = new Error("no pod is ready");
    const tried = new Set<string>();
    for (let tries = 0; tries < TRIES; tries++) {
      const ready = this.proxy.endpoints;
      // Others than before, as long as there are any.
      const others = ready.filter((each) => !tried.has(each));
      const choice = others.length > 0 ? others : ready;
      const address = choice[this.next++ % Math.max(1, choice.length)];
      if (address === undefined) break;
      tried.add(address);
      if (tries > 0) this.retried += 1;
      this.pending.set(address, this.inFlightAt(address) + 1);
      try {
        return await this.ask(address, request, body);
      } catch (error) {
        failure = error;
      } finally {
        this.pending.set(address, this.inFlightAt(address) - 1);
      }
    }
    throw new Error(`none of ${[...tried].join(", ")}: ${String(failure)}`);
  }

  private ask(
    address: string,
    { method, url, headers }: http.IncomingMessage,
    body: Buffer,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const where = { host: loopbackOf(address), port: this.podPort, method, path: url };
      const asked = http.request({ ...where, headers, agent: this.agent, timeout: PATIENCE }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          resolve({
            ...{ status: response.statusCode ?? 502, headers: response.headers },
            body: Buffer.concat(chunks),
          });
        });
      });
      asked.on("timeout", () => asked.destroy(new Error(`no answer within ${PATIENCE} ms`)));
      asked.on("error", reject);
      asked.end(body);
    });
  }
}
