import { type Dispatcher, Pool } from "undici";

import { type Connection, type Target } from "./connection";
import { type Tensor } from "./tensors";

/** How many requests can be under way; more wait for a connection, and their latency shows it. */
const CONNECTIONS = 256;

/** Requests with binary tensors over HTTP/1.1, one at a time on each of a pool of connections. */
export function httpConnection({ address, model, inputs, timeoutMs }: Target): Connection {
  const pool = new Pool(new URL(address).origin, {
    connections: CONNECTIONS,
    pipelining: 1,
    connectTimeout: timeoutMs,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  const { head, body } = binaryRequest(inputs);
  const options: Dispatcher.DispatchOptions = {
    method: "POST",
    path: `/v2/models/${encodeURIComponent(model)}/infer`,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head),
    },
    body,
  };
  return {
    send: (done) => {
      let status = 0;
      let text = "";
      pool.dispatch(options, {
        // Its presence tells undici which form of handler this is.
        onRequestStart: () => undefined,
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, chunk) => {
          if (status !== 200) text += chunk.toString("utf8");
        },
        onResponseEnd: () => {
          done(status === 200 ? undefined : `HTTP status ${status}: ${text}`);
        },
        onResponseError: (_controller, error) => {
          done(error.message);
        },
      });
    },
    close: () => pool.destroy(),
  };
}

/**
 * A request of Triton's binary tensor data extension that asks for binary outputs, too.
 * https://github.com/triton-inference-server/server/blob/r22.06/docs/protocol/extension_binary_data.md
 *
 * @returns the body and how many bytes of it are the JSON in front
 */
export function binaryRequest(inputs: readonly Tensor[]): { head: number; body: Buffer } {
  const header = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape, data }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: data.length },
      })),
      parameters: { binary_data_output: true },
    }),
  );
  return { head: header.length, body: Buffer.concat([header, ...inputs.map(({ data }) => data)]) };
}
