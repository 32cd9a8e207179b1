import * as http from "node:http";
import * as https from "node:https";

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

interface Parameters {
  readonly parameters?: Readonly<Record<string, { string_value: string } | undefined>>;
  readonly optimization?: { readonly priority?: string };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What a gateway asks of its clients. */
export interface ClientAccess {
  /** Certificate to trust, in PEM form; none without TLS. */
  readonly ca?: string;
  readonly token?: string;
}

/** Requests to a Triton on the loopback interface, or to its gateway. */
export class TritonClient {
  private readonly agent: http.Agent;

  /**
   * @param keepAlive whether to reuse connections
   * @param patience seconds that an answer may take, even on a busy machine
   * @param access what the requests carry from now on
   */
  public constructor(
    private readonly port: number,
    keepAlive = true,
    private readonly patience = 60,
    public access: ClientAccess = {},
  ) {
    const options = { keepAlive, maxSockets: 64 };
    this.agent = access.ca === undefined ? new http.Agent(options) : new https.Agent(options);
  }

  public request(method: string, path: string, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { ca, token } = this.access;
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const where = { host: "127.0.0.1", servername: "localhost", port: this.port };
      const options = { ...where, method, path, headers, agent: this.agent, ca };
      const request = (ca === undefined ? http : https).request(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: text });
        });
      });
      request.on("error", reject);
      request.setTimeout(this.patience * 1000, () =>
        request.destroy(new Error(`no answer within ${this.patience} s`)),
      );
      request.end(body);
    });
  }

  public async isReady(model: string): Promise<boolean> {
    try {
      return (await this.request("GET", `/v2/models/${model}/ready`)).status === 200;
    } catch {
      return false;
    }
  }

  /** A model's priority in Triton and in the scheduler. */
  public async priority(model: string): Promise<{ triton: string | undefined; xsched: string | undefined }> {
    const { body } = await this.request("GET", `/v2/models/${model}/config`);
    const config = JSON.parse(body) as Parameters;
    return {
      triton: config.optimization?.priority,
      xsched: config.parameters?.xsched_priority?.string_value,
    };
  }

  /** A request that the model accepts: every input filled with ones, a single row if it batches. */
  public async exampleRequest(model: string): Promise<string> {
    const { body } = await this.request("GET", `/v2/models/${model}`);
    const { inputs } = JSON.parse(body) as { inputs: readonly Tensor[] };
    return JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape }) => {
        const fixed = shape.map((size) => Math.max(size, 1));
        const count = fixed.reduce((product, size) => product * size, 1);
        return {
          name,
          datatype,
          shape: fixed,
          data: Array<number | string>(count).fill(datatype === "BYTES" ? "1" : 1),
        };
      }),
    });
  }

  public infer(model: string, request: string): Promise<Answer> {
    return this.request("POST", `/v2/models/${model}/infer`, request);
  }

  public close(): void {
    this.agent.destroy();
  }
}

/** The results of a load. */
export interface LoadReport {
  readonly sent: number;
  readonly failures: readonly string[];
}

/**
 * How many requests to a model may be without an answer. More than a busy machine can answer would only wait for each
 * other, until they are given up for that.
 */
const MOST_IN_FLIGHT = 32;

/** Sends `rate` requests per second to each model until `work` ends, or as many as are answered if those are fewer. */
export async function underLoad<T>(
  triton: TritonClient,
  models: readonly string[],
  rate: number,
  work: () => Promise<T>,
): Promise<{ result: T; reports: ReadonlyMap<string, LoadReport> }> {
  const requests = new Map<string, string>();
  for (const model of models) requests.set(model, await triton.exampleRequest(model));
  const running = models.map((model) => {
    const pending = new Set<Promise<void>>();
    const failures: string[] = [];
    let sent = 0;
    const send = async (): Promise<void> => {
      try {
        const { status, body } = await triton.infer(model, requests.get(model) ?? "");
        if (status !== 200) failures.push(`${status}: ${body}`);
      } catch (error) {
        failures.push(String(error));
      }
    };
    // Catches up after a busy moment of this process, to keep the mean rate.
    let due = 0;
    let last = Date.now();
    const timer = setInterval(() => {
      due += ((Date.now() - last) * rate) / 1000;
      last = Date.now();
      for (; due >= 1 && pending.size < MOST_IN_FLIGHT; due--, sent++) {
        const request: Promise<void> = send().finally(() => pending.delete(request));
        pending.add(request);
      }
      // What could not be sent now is not sent later.
      due = Math.min(due, 1);
    }, 1000 / rate);
    return {
      stop: async (): Promise<LoadReport> => {
        clearInterval(timer);
        await Promise.all(pending);
        return { sent, failures };
      },
    };
  });
  let result: T;
  let reports: LoadReport[] = [];
  try {
    result = await work();
  } finally {
    reports = await Promise.all(running.map(({ stop }) => stop()));
  }
  return { result, reports: new Map(models.map((model, index) => [model, reports[index]!])) };
}
