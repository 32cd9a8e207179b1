// Free TCP ports of this machine.
import { randomInt } from "node:crypto";
import fs from "node:fs";
import net from "node:net";

/** Below these are the ports of well-known services. */
const LOWEST = 15_000;

/** Where the kernel's ephemeral ports begin: a connection of any program may take one at any moment. */
function firstEphemeralPort() {
  try {
    return Number(fs.readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s/)[0]);
  } catch {
    // Systems without /proc use the range of IANA (RFC 6335).
    return 49_152;
  }
}

/** A server on a port of the loopback interface; undefined if the port is taken. */
function listen(port) {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** Whether nobody listens at a port of the loopback interface. */
export async function isFree(port) {
  const server = await listen(port);
  await new Promise((resolve) => (server ? server.close(resolve) : resolve()));
  return server !== undefined;
}

/**
 * So many free ports of the loopback interface. All are held open until all have been found, so that they differ.
 *
 * @param places into how many parts the ports are divided, for processes that look for some at once
 * @param place the part to take them from, counted from 0
 */
export async function freePorts(count, places = 1, place = 0) {
  const end = firstEphemeralPort();
  const held = new Map();
  while (held.size < count) {
    const port = randomInt(Math.ceil(LOWEST / places), Math.floor(end / places)) * places + place;
    const server = await listen(port);
    if (server) held.set(port, server);
  }
  await Promise.all([...held.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...held.keys()];
}
