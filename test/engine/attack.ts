import * as assert from "node:assert/strict";

import { type ChannelCredentials, Client, Metadata, status } from "@grpc/grpc-js";

import type { TritonClient } from "./triton";
import type { Workspace } from "./workspace";

/** The load of a model that would run any code as the server's user. */
const LOAD = "/v2/repository/models/evil/load";
const BODY = JSON.stringify({
  parameters: {
    config: JSON.stringify({ backend: "python", max_batch_size: 0 }),
    "file:1/model.py": Buffer.from("import os; os.system('id')").toString("base64"),
  },
});
/** RepositoryModelLoadRequest: its second field is the model's name. */
const MESSAGE = Buffer.concat([Buffer.from([0x12, 4]), Buffer.from("evil")]);

/** How to reach gRPC. */
export interface GrpcAccess {
  readonly port: number;
  readonly credentials: ChannelCredentials;
  readonly token?: string;
}

/** A call over gRPC; what it ends with. */
export function call(access: GrpcAccess, method: string, request: Buffer): Promise<number> {
  const channel = new Client(`127.0.0.1:${access.port}`, access.credentials, {
    "grpc.ssl_target_name_override": "localhost",
  });
  const metadata = new Metadata();
  if (access.token !== undefined) metadata.set("authorization", `Bearer ${access.token}`);
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    channel.makeUnaryRequest(
      `/inference.GRPCInferenceService/${method}`,
      ...([same, same, request, metadata, { deadline: Date.now() + 60_000 }] as const),
      (error) => {
        channel.close();
        resolve(error?.code ?? status.OK);
      },
    );
  });
}

/** Tries to load code into a server through its gateway, and is refused. */
export async function attackGateway(client: TritonClient, grpc: GrpcAccess): Promise<void> {
  assert.equal((await client.request("POST", LOAD, BODY)).status, 404);
  assert.equal((await client.request("POST", `/v2/models/../repository/models/evil/load`, BODY)).status, 404);
  assert.equal((await client.request("POST", "/v2/repository/index")).status, 404);
  assert.equal(await call(grpc, "RepositoryModelLoad", MESSAGE), status.UNIMPLEMENTED);
}

/** Tries the same at Triton's own ports, where it is refused by the lock on its control. */
export async function attackTriton(client: TritonClient, grpc: GrpcAccess): Promise<void> {
  assert.equal((await client.request("POST", LOAD, BODY)).status, 403);
  assert.equal((await client.request("POST", "/v2/repository/index")).status, 403);
  assert.equal(await call(grpc, "RepositoryModelLoad", MESSAGE), status.UNAVAILABLE);
}

/** The process that serves, and the models that are loaded, as its host knows them. */
export async function served(
  workspace: Workspace,
  directory: string,
): Promise<{ pid: number; models: string[] }> {
  const ask = async (...words: string[]): Promise<string> => {
    const { code, output } = await workspace.run(`${directory}/bin/agent`, words);
    assert.equal(code, 0, output);
    return output.slice(output.indexOf("{", output.indexOf("xsched-triton-result")));
  };
  const { pid } = JSON.parse(await ask("status")) as { pid: number };
  const { body } = JSON.parse(await ask("ask", "POST", "/v2/repository/index")) as { body: string };
  const index = JSON.parse(body) as { name: string }[];
  return { pid, models: index.map(({ name }) => name).sort() };
}
