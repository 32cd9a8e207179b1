import * as http from "node:http";
import type { AddressInfo } from "node:net";

/** What Triton counts of a model, with what it grows by in a second; durations in microseconds. */
export interface Growth {
  readonly request_success: number;
  readonly exec_count: number;
  readonly request_duration_us: number;
  readonly queue_duration_us: number;
}

/** Looks to Prometheus like a Triton whose counters grow as steadily as the clock. */
export class SteadyCounters {
  private constructor(private readonly server: http.Server) {}

  public static async start(models: Readonly<Record<string, Growth>>): Promise<SteadyCounters> {
    const begun = performance.now();
    const server = http.createServer((_, response) => {
      const seconds = (performance.now() - begun) / 1000;
      const lines = Object.entries(models).flatMap(([model, growth]) =>
        Object.entries(growth).map(
          ([counter, rate]) => `nv_inference_${counter}{model="${model}",version="1"} ${rate * seconds}`,
        ),
      );
      response.setHeader("content-type", "text/plain; version=0.0.4");
      response.end(`${lines.join("\n")}\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new SteadyCounters(server);
  }

  public get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
