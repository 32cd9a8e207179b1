import { type Dispatcher, Pool } from "undici";

import { type Connection, type Target } from "./connection";
import { type Tensor } from "./tensors";

/** How many requests can be in flight. Others wait for a connection, which their latency shows. */
const CONNECTIONS = 256;

/** Requests with binary tensors over HTTP/1.1, one at a time on each connection of a pool. */
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
        // undici recognises the kind of handler by this method.
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
 * A request in Triton's binary tensor data extension that also asks for binary outputs.
 * https://github.com/triton-inference-server/server/blob/r22.06/docs/protocol/extension_binary_data.md
 *
 * @returns the body, and the length of the JSON at its start in bytes
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
