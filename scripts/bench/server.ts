import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { Scheduler } from "../triton/scheduler";
import { DeployedApi, RemoteApi } from "../triton/tritonApi";
import { type Server } from "./arms/armSwitch";
import { Journal } from "./arms/journal";
import { type BenchOptions } from "./options";
import { type Target } from "./protocol/connection";
import { ones } from "./protocol/tensors";

/**
 * The server to measure, with the stack behind it if that is known.
 *
 * @param journals folder of the journals
 */
export function serverAt(
  url: string | undefined,
  stackGiven: boolean,
  deployed: DeployedServer | undefined,
  journals: string,
): Server {
  // A URL alone belongs to the local stack only if it is that stack's own; next to a stack's name, it is a way to it.
  if (deployed !== undefined && (stackGiven || url === undefined || url === deployed.endpoints.http)) {
    const scheduler = new Scheduler(deployed);
    return {
      api: new DeployedApi(deployed),
      ...(scheduler.state().active && { scheduler }),
      stack: deployed.stack,
      journal: new Journal(journals, `${deployed.stack} ${deployed.endpoints.http}`),
    };
  }
  if (url === undefined)
    throw new UserError('the stack "local" is not deployed', "run npm run up, or give --url");
  const api = new RemoteApi(url, process.env.XSCHED_TRITON_CONTROL_KEY);
  return { api, journal: new Journal(journals, url) };
}

/** How requests reach a server. */
export interface Way {
  /** @param batch rows per request, for models that batch */
  target(model: string, batch: number): Promise<Target>;
  close(): Promise<void>;
}

/** The given address, or else the stack's own, through a tunnel if it is on another machine. */
export async function wayTo(
  { api, stack }: Server,
  deployed: DeployedServer | undefined,
  { url, grpc, protocol, extent, timeoutMs }: BenchOptions,
): Promise<Way> {
  let addresses = { http: url ?? api.place, grpc: grpc ?? deployed?.endpoints.grpc ?? "" };
  let close = (): Promise<void> => Promise.resolve();
  if (url === undefined && grpc === undefined && stack !== undefined && deployed?.tunnel !== undefined) {
    const tunnel = await deployed.tunnel([new URL(deployed.endpoints.http).host, deployed.endpoints.grpc]);
    addresses = { http: `http://${tunnel.addresses[0] ?? ""}`, grpc: tunnel.addresses[1] ?? "" };
    close = () => tunnel.close();
  }
  const inputs = async (model: string, batch: number): Promise<Target["inputs"]> => {
    const batches = ((await api.config(model)).max_batch_size ?? 0) > 0;
    return (await api.inputs(model)).map((input) =>
      ones(
        input,
        input.shape.map((size, index) => (batches && index === 0 ? batch : size < 0 ? extent : size)),
      ),
    );
  };
  return {
    target: async (model, batch) => ({
      protocol,
      address: addresses[protocol],
      model,
      inputs: await inputs(model, batch),
      timeoutMs,
    }),
    close,
  };
}
