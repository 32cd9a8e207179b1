import { type DeployedServer } from "./deployedServer";
import { UserError } from "./userError";
import { type ModelConfig } from "./modelConfig";

/** An input of a model, as Triton's metadata describes it. */
export interface TensorDescription {
  readonly name: string;
  readonly datatype: string;
  /** Extents; −1 where the request decides. */
  readonly shape: readonly number[];
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What is asked of Triton's HTTP API beside inference. */
export abstract class TritonApi {
  /** Where it is asked, for messages. */
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

  /** @throws UserError unless the model serves */
  public async requireReady(model: string): Promise<void> {
    const { status } = await this.ask("GET", `${modelPath(model)}/ready`);
    if (status === 200) return;
    const served = (
      await this.get<readonly { name: string; state?: string }[]>("/v2/repository/index", "POST")
    )
      .filter(({ state }) => state === "READY")
      .map(({ name }) => name);
    throw new UserError(
      `the model "${model}" is not ready at ${this.place}`,
      served.length > 0
        ? `use one of those that are: ${served.join(", ")}`
        : "deploy a model first: npm run up",
    );
  }

  /**
   * Loads a model again, and waits until it serves.
   *
   * @param config in place of its own configuration
   */
  public abstract reload(model: string, config?: ModelConfig): Promise<void>;

  protected abstract ask(method: string, path: string, body?: string): Promise<Answer>;

  private async get<T>(path: string, method = "GET"): Promise<T> {
    const { status, body } = await this.ask(method, path);
    if (status !== 200) throw new Error(`${this.place}${path} answers with HTTP status ${status}: ${body}`);
    return JSON.parse(body) as T;
  }
}

function modelPath(model: string): string {
  return `/v2/models/${encodeURIComponent(model)}`;
}

/** How long a model may take to load where the stack's own limit is not known, in milliseconds. */
const LOAD_TIMEOUT_MS = 600_000;
const ANSWER_TIMEOUT_MS = 30_000;

/** A Triton that is reached by its URL, with no stack behind it as far as is known. */
export class RemoteApi extends TritonApi {
  public constructor(public readonly place: string) {
    super();
  }

  public async reload(model: string, config?: ModelConfig): Promise<void> {
    const body = config && JSON.stringify({ parameters: { config: JSON.stringify(config) } });
    const path = `/v2/repository/models/${encodeURIComponent(model)}/load`;
    const answer = await this.ask("POST", path, body, LOAD_TIMEOUT_MS);
    if (answer.status !== 200) {
      throw new UserError(
        `Triton at ${this.place} does not load the model "${model}": ${answer.body}`,
        "it must run with --model-control-mode=explicit, as the stack starts it",
      );
    }
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
        signal: AbortSignal.timeout(timeout),
      });
      return { status: response.status, body: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new UserError(
        `no Triton answers at ${this.place} (${cause instanceof Error ? cause.message : String(cause)})`,
        "give the URL of its HTTP port, and open a tunnel if it is on another machine (npm run status prints one)",
      );
    }
  }
}

/** The Triton of a stack, asked on its own host: no port has to be reached from here. */
export class DeployedApi extends TritonApi {
  public readonly place: string;

  public constructor(private readonly server: DeployedServer) {
    super();
    this.place = server.endpoints.http;
  }

  public reload(model: string, config?: ModelConfig): Promise<void> {
    this.run(["reload-model.sh", model], config === undefined ? "" : JSON.stringify(config));
    return Promise.resolve();
  }

  protected ask(method: string, path: string): Promise<Answer> {
    const text = this.run(["ask-triton.sh", method, path]);
    const end = text.indexOf("\n");
    return Promise.resolve({ status: Number(text.slice(0, end)), body: text.slice(end + 1) });
  }

  private run(words: readonly string[], input?: string): string {
    const finished = this.server.onHost(words, input);
    if (finished.status !== 0) throw UserError.ofScript(words[0] ?? "", finished);
    return finished.stdout;
  }
}
