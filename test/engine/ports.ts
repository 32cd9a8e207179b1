import { randomInt } from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";

/** Below these are the ports of well-known services. */
const LOWEST = 15_000;

/**
 * The kernel's range of ephemeral ports. Pulumi's engine and providers use them all the time, and would
 * take one of ours before the server does.
 */
function firstEphemeralPort(): number {
  return Number(fs.readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s/)[0]);
}

/** A server on a port of the loopback interface; undefined if the port is taken. */
async function listen(port: number): Promise<net.Server | undefined> {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(undefined);
    });
    server.listen(port, "127.0.0.1", () => {
      resolve(server);
    });
  });
}

const close = async (server: net.Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });

/** Processes that run next to this one under `npm test` have other places, and use other ports. */
const PLACES = 16;
const PLACE = Number(process.env.TEST_PLACE ?? 0) % PLACES;

/** Free TCP ports of the loopback interface, all held until all have been found. */
export async function freePorts(count: number): Promise<number[]> {
  const end = firstEphemeralPort();
  const held = new Map<number, net.Server>();
  while (held.size < count) {
    const port = randomInt(Math.ceil(LOWEST / PLACES), Math.floor(end / PLACES)) * PLACES + PLACE;
    const server = await listen(port);
    if (server) held.set(port, server);
  }
  await Promise.all([...held.values()].map(close));
  return [...held.keys()];
}

export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server) await close(server);
  return server !== undefined;
}
