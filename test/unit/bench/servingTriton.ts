import * as http from "node:http";
import { type AddressInfo } from "node:net";

import { type ModelConfig } from "../../../scripts/triton/modelConfig";
import { type ModelStatistics } from "../../../scripts/triton/tritonApi";
import { modelConfig } from "../triton/standInServer";

/** Nanoseconds that a request spends in each part of Triton. */
export type Nanoseconds = Readonly<
  Record<"queue" | "compute_input" | "compute_infer" | "compute_output", number>
>;

export interface ServedModel {
  readonly name: string;
  readonly priority: number;
  /** @param others whether another model is being used at the same time */
  readonly takes: (others: boolean) => Nanoseconds;
}

interface Served {
  readonly model: ServedModel;
  deployed: ModelConfig;
  config: ModelConfig;
  requests: number;
  inFlight: number;
  mostInFlight: number;
  answeredAt: number;
  readonly ns: Record<keyof Nanoseconds, number>;
}

/** What the statistics say before the first request: another client's requests, which belong to no benchmark. */
const EARLIER = { requests: 1000, ns: 5e12 };

/** How long an answer takes. What a request "takes" is only what the statistics say, so that tests can be exact. */
const ANSWER_MS = 2;

/**
 * A model whose last answer is older than this, in milliseconds, and that has no request, is not being used. Less than
 * the tests' warm-up, in which what was sent before is forgotten.
 */
const USED_MS = 60;

/** Triton's HTTP API in explicit mode, with statistics that a test can predict. */
export class ServingTriton {
  /** What every time of a request is multiplied by. */
  public slowdown = 1;
  /** Every load, as `model priority`. */
  public readonly loads: string[] = [];
  private readonly served: ReadonlyMap<string, Served>;
  private readonly server: http.Server;

  private constructor(models: readonly ServedModel[]) {
    this.served = new Map(
      models.map((model) => {
        const config = { ...modelConfig(model.name, model.priority), max_batch_size: 0 };
        const ns = { queue: 0, compute_input: 0, compute_infer: 0, compute_output: 0 };
        return [
          model.name,
          {
            ...{ model, deployed: config, config, ns },
            ...{ requests: 0, inFlight: 0, mostInFlight: 0, answeredAt: -Infinity },
          },
        ];
      }),
    );
    this.server = http.createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        this.answer(request.url ?? "", Buffer.concat(parts).toString("latin1"), response);
      });
    });
  }

  public static async start(models: readonly ServedModel[]): Promise<ServingTriton> {
    const triton = new ServingTriton(models);
    await new Promise<void>((resolve) => triton.server.listen(0, "127.0.0.1", resolve));
    return triton;
  }

  public get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public config(model: string): ModelConfig | undefined {
    return this.served.get(model)?.config;
  }

  /** The most requests that the model has had at a time. */
  public mostInFlight(model: string): number | undefined {
    return this.served.get(model)?.mostInFlight;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(url: string, body: string, response: http.ServerResponse): void {
    const say = (document: object, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
    };
    if (url === "/v2") {
      say({ version: "2.51.0" });
      return;
    }
    if (url === "/v2/models/stats") {
      say({ model_stats: [...this.served.values()].map(statistics) });
      return;
    }
    const [, name = "", what = ""] = /^\/v2\/(?:repository\/)?models\/([^/]*)(?:\/(.*))?$/.exec(url) ?? [];
    const served = this.served.get(name);
    if (served === undefined) {
      say({ error: `no model ${name}` }, 404);
      return;
    }
    switch (what) {
      case "":
        say({ inputs: [{ name: "INPUT", datatype: "FP32", shape: [1] }] });
        return;
      case "ready":
        say({});
        return;
      case "config":
        say(served.config);
        return;
      case "stats":
        say({ model_stats: [statistics(served)] });
        return;
      case "load":
        served.config = loaded(body) ?? served.deployed;
        this.loads.push(`${name} ${served.config.parameters?.xsched_priority?.string_value ?? ""}`);
        say({});
        return;
      case "infer":
        this.infer(served, say);
        return;
      default:
        say({ error: `no API ${url}` }, 404);
    }
  }

  private infer(served: Served, say: (document: object) => void): void {
    served.inFlight++;
    served.mostInFlight = Math.max(served.mostInFlight, served.inFlight);
    setTimeout(() => {
      const used = ({ inFlight, answeredAt }: Served): boolean =>
        inFlight > 0 || performance.now() - answeredAt < USED_MS;
      const others = [...this.served.values()].some((other) => other !== served && used(other));
      const ns = served.model.takes(others);
      served.inFlight--;
      served.answeredAt = performance.now();
      served.requests++;
      for (const part of Object.keys(ns) as (keyof Nanoseconds)[])
        served.ns[part] += ns[part] * this.slowdown;
      say({});
    }, ANSWER_MS);
  }
}

function loaded(body: string): ModelConfig | undefined {
  if (body === "") return undefined;
  const { parameters } = JSON.parse(body) as { parameters?: { config?: string } };
  return parameters?.config === undefined ? undefined : (JSON.parse(parameters.config) as ModelConfig);
}

function statistics({ model, requests, ns }: Served): ModelStatistics & { name: string } {
  const count = EARLIER.requests + requests;
  const part = (name: keyof Nanoseconds) => ({ count, ns: EARLIER.ns + ns[name] });
  return {
    name: model.name,
    execution_count: count,
    inference_stats: {
      success: { count, ns: EARLIER.ns },
      queue: part("queue"),
      compute_input: part("compute_input"),
      compute_infer: part("compute_infer"),
      compute_output: part("compute_output"),
    },
  };
}
