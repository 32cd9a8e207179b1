import { grpcConnection } from "./grpc";
import { httpConnection } from "./http";
import { type Tensor } from "./tensors";

export const PROTOCOLS = ["http", "grpc"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Where and what to ask; can be handed to a worker thread. */
export interface Target {
  readonly protocol: Protocol;
  /** URL of the HTTP API, or `host:port` of the gRPC API. */
  readonly address: string;
  readonly model: string;
  readonly inputs: readonly Tensor[];
  /** Milliseconds after which a request counts as failed. */
  readonly timeoutMs: number;
}

/** Sends one and the same request to a model, any number at the same time. */
export interface Connection {
  /** @param done called once: with nothing when the answer is there, or with what went wrong */
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
