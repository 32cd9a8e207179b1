// The SSH agent of whoever deploys.
import { once } from "node:events";
import net from "node:net";

/**
 * The variable to change where it names an agent that has ended, as in a terminal multiplexer that has outlived its login: the
 * vendor's command provider asks it before it connects, although the stack has a key, and ends if there is nobody.
 */
export async function withoutDeadAgent({ SSH_AUTH_SOCK: file }) {
  if (!file) return {};
  const socket = net.connect(file);
  try {
    await once(socket, "connect");
    return {};
  } catch {
    return { SSH_AUTH_SOCK: undefined };
  } finally {
    socket.destroy();
  }
}
