import * as path from "node:path";

import { Client, credentials, type MethodDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

import { type Connection, type Target } from "./connection";
import { type Tensor } from "./tensors";

const SERVICE = "inference.GRPCInferenceService";

/** Triton decides how large a tensor may be. */
const NO_LIMIT = -1;

/** Requests over one gRPC channel. The request is serialised once, and answers are not parsed. */
export function grpcConnection({ address, model, inputs, timeoutMs }: Target): Connection {
  const method = inferMethod();
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_send_message_length": NO_LIMIT,
    "grpc.max_receive_message_length": NO_LIMIT,
    // A run must not reuse another run's connections.
    "grpc.use_local_subchannel_pool": 1,
    // A failed request must count as failed.
    "grpc.enable_retries": 0,
    // Channelz costs time per request, for statistics that nobody reads.
    "grpc.enable_channelz": 0,
  });
  const request = method.requestSerialize(inferRequest(model, inputs));
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    send: (done) => {
      client.makeUnaryRequest(
        method.path,
        same,
        same,
        request,
        { deadline: Date.now() + timeoutMs },
        (error) => {
          done(error ? `gRPC status ${error.code}: ${error.details}` : undefined);
        },
      );
    },
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

/** The call `ModelInfer` and its messages, from the protocol's definition. */
export function inferMethod(): MethodDefinition<object, object> {
  const definition = loadSync(path.join(__dirname, "inference.proto"), { keepCase: true, longs: Number });
  const service = definition[SERVICE] as Record<string, MethodDefinition<object, object>> | undefined;
  const method = service?.ModelInfer;
  if (method === undefined) throw new Error(`inference.proto has no ${SERVICE}.ModelInfer`);
  return method;
}

/** A `ModelInferRequest`. */
export function inferRequest(model: string, inputs: readonly Tensor[]): object {
  return {
    model_name: model,
    inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    raw_input_contents: inputs.map(({ data }) => data),
  };
}
