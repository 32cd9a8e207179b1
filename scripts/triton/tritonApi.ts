import { type DeployedServer } from "./deployedServer";
import { UserError } from "./userError";
import { type ModelConfig, type Scheduling, schedulesOtherwise } from "./modelConfig";

/** An input of a model, as Triton's metadata describes it. */
export interface TensorDescription {
  readonly name: string;
  readonly datatype: string;
  /** Extents; −1 where the request decides. */
  readonly shape: readonly number[];
}

/** Triton counts how often something was done for a request, and how long it took in all. */
interface Counted {
  readonly count: number;
  readonly ns: number;
}

/** Triton's statistics of one version of a model since it was loaded. */
export interface ModelStatistics {
  /** How often the model was executed, for one request or a batch of them. */
  readonly execution_count: number;
  readonly inference_stats: Readonly<
    Record<"success" | "queue" | "compute_input" | "compute_infer" | "compute_output", Counted>
  >;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The part of Triton's HTTP API that we use, apart from inference. */
export abstract class TritonApi {
  /** The server's address, for messages. */
  public abstract readonly place: string;

  public async version(): Promise<string> {
    return (await this.get<{ version: string }>("/v2")).version;
  }

  public async inputs(model: string): Promise<readonly TensorDescription[]> {
    return (await this.get<{ inputs: readonly TensorDescription[] }>(modelPath(model))).inputs.map(
      ({ name, datatype, shape }) => ({ name, datatype, shape: shape.map(Number) }),
    );
  }

  public async config(model: string): Promise<ModelConfig> {
    return this.get<ModelConfig>(`${modelPath(model)}/config`);
  }

  /** One entry per version of the model. */
  public async statistics(model: string): Promise<readonly ModelStatistics[]> {
    return (await this.get<{ model_stats: readonly ModelStatistics[] }>(`${modelPath(model)}/stats`))
      .model_stats;
  }

  /** @throws UserError unless the model serves */
  public async requireReady(model: string): Promise<void> {
    const { status } = await this.ask("GET", `${modelPath(model)}/ready`);
    if (status === 200) return;
    // Everybody may read the statistics; the list of the repository is locked.
    const { model_stats } = await this.get<{ model_stats: readonly { name: string }[] }>("/v2/models/stats");
    const served = [...new Set(model_stats.map(({ name }) => name))];
    throw new UserError(
      `the model "${model}" is not ready at ${this.place}`,
      served.length > 0
        ? `use a model that is ready: ${served.join(", ")}`
        : "deploy a model first: npm run up",
    );
  }

  /**
   * Reloads a model and waits until it serves.
   *
   * @param config replaces the model's own configuration
   */
  public abstract reload(model: string, config?: ModelConfig): Promise<void>;

  /** Loads a model that was deployed without a load, so that its configuration is the deployed one. */
  public abstract loadDeployed(model: string): Promise<void>;

  protected abstract ask(method: string, path: string, body?: string): Promise<Answer>;

  private async get<T>(path: string): Promise<T> {
    const { status, body } = await this.ask("GET", path);
    if (status !== 200) throw new Error(`${this.place}${path} answered with HTTP status ${status}: ${body}`);
    return JSON.parse(body) as T;
  }
}

function modelPath(model: string): string {
  return `/v2/models/${encodeURIComponent(model)}`;
}

/** How long a model may take to load, in milliseconds, where the stack's own limit is unknown. */
const LOAD_TIMEOUT_MS = 600_000;
const ANSWER_TIMEOUT_MS = 30_000;

/** A Triton at a URL, with no known stack behind it. */
export class RemoteApi extends TritonApi {
  /** @param key the key to the server's control, if that is locked */
  public constructor(
    public readonly place: string,
    private readonly key: string | undefined,
  ) {
    super();
  }

  public async reload(model: string, config?: ModelConfig): Promise<void> {
    const body = config && JSON.stringify({ parameters: { config: JSON.stringify(config) } });
    const path = `/v2/repository/models/${encodeURIComponent(model)}/load`;
    const answer = await this.ask("POST", path, body, LOAD_TIMEOUT_MS);
    if (answer.status !== 200) {
      throw new UserError(
        `Triton at ${this.place} did not load the model "${model}": ${answer.body}`,
        answer.status === 403
          ? "measure the stack itself, without --url, or set XSCHED_TRITON_CONTROL_KEY to the key in server/control-key of its host's folder"
          : "start Triton with --model-control-mode=explicit, as a stack does",
      );
    }
  }

  /** Without a stack, all is loaded as it is. */
  public loadDeployed(): Promise<void> {
    return Promise.resolve();
  }

  protected async ask(
    method: string,
    path: string,
    body?: string,
    timeout = ANSWER_TIMEOUT_MS,
  ): Promise<Answer> {
    try {
      const response = await fetch(new URL(path, this.place), {
        method,
        body,
        ...(this.key && { headers: { "xsched-triton-control": this.key } }),
        signal: AbortSignal.timeout(timeout),
      });
      return { status: response.status, body: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new UserError(
        `no Triton answers at ${this.place} (${cause instanceof Error ? cause.message : String(cause)})`,
        "give the URL of its HTTP port; if it is on another machine, open a tunnel (npm run status prints the command)",
      );
    }
  }
}

/** A stack's Triton. Requests are made on its host, so no port has to be reachable from here. */
export class DeployedApi extends TritonApi {
  public readonly place: string;

  public constructor(private readonly server: DeployedServer) {
    super();
    this.place = server.endpoints.http;
  }

  public reload(model: string, config?: ModelConfig): Promise<void> {
    this.run(["reload", model], config === undefined ? "" : JSON.stringify(config));
    return Promise.resolve();
  }

  /** A running scheduler takes another priority, floor or weight without a load; the host's agent tells what was deployed. */
  public async loadDeployed(model: string): Promise<void> {
    const status = JSON.parse(this.run(["status"])) as { models: (Scheduling & { readonly name: string })[] };
    const deployed = status.models.find(({ name }) => name === model);
    if (deployed !== undefined && schedulesOtherwise(await this.config(model), deployed)) {
      await this.reload(model);
    }
  }

  protected ask(method: string, path: string): Promise<Answer> {
    return Promise.resolve(JSON.parse(this.run(["ask", method, path])) as Answer);
  }

  private run(words: readonly string[], input?: string): string {
    const finished = this.server.onHost(words, input);
    if (finished.status !== 0) throw UserError.ofHost(words[0] ?? "", finished);
    return finished.stdout;
  }
}
