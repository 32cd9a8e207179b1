import { grpcConnection } from "./grpc";
import { httpConnection } from "./http";
import { type Tensor } from "./tensors";

export const PROTOCOLS = ["http", "grpc"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Where to send which request; can be passed to a worker thread. */
export interface Target {
  readonly protocol: Protocol;
  /** URL of the HTTP API, or `host:port` of the gRPC API. */
  readonly address: string;
  readonly model: string;
  readonly inputs: readonly Tensor[];
  /** Milliseconds after which a request counts as failed. */
  readonly timeoutMs: number;
}

/** Sends the same request to a model, any number of times concurrently. */
export interface Connection {
  /** @param done called once: without an argument when the answer is complete, or with the problem */
  send(done: (problem?: string) => void): void;
  close(): Promise<void>;
}

export function connect(target: Target): Connection {
  switch (target.protocol) {
    case "http":
      return httpConnection(target);
    case "grpc":
      return grpcConnection(target);
  }
}
