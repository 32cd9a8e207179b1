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

/** So many free ports of the loopback interface. All are held open until all have been found, so that they differ. */
export async function freePorts(count) {
  const end = firstEphemeralPort();
  const servers = [];
  while (servers.length < count) {
    const server = await listen(randomInt(LOWEST, end));
    if (server) servers.push(server);
  }
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
