import * as assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";

import { unreachable } from "../../../components/host/reachability";

const QUICK = { attempts: 2, attemptMs: 200, pauseMs: 10 };
/** For what answers, which it may do late on a busy machine. */
const PATIENT = { ...QUICK, attemptMs: 60_000 };

describe("whether a machine can be reached over SSH", () => {
  let server: net.Server;
  let port: number;
  let greet: (socket: net.Socket) => void;
  let asked: number;

  const problem = async (machine?: string, patience = PATIENT): Promise<string | undefined> => {
    const connection = { address: "127.0.0.1", port, user: "me", privateKey: "", hostKey: "", machine };
    return (await unreachable(connection, patience))?.message;
  };

  beforeEach(async () => {
    asked = 0;
    server = net.createServer((socket) => {
      asked++;
      socket.on("error", () => undefined);
      greet(socket);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    ({ port } = server.address() as net.AddressInfo);
  });
  afterEach(() => {
    server.close();
  });

  it("it can if an SSH server introduces itself, also after other lines and in pieces", async () => {
    greet = (socket) => {
      socket.write("Welcome\r\nSS");
      setTimeout(() => socket.write("H-2.0-OpenSSH_9.2\r\n"), 20);
    };
    assert.equal(await problem(), undefined);
    assert.equal(asked, 1);
  });

  it("it can if that happens at the second attempt, as at the end of a reboot", async () => {
    greet = (socket) => (asked === 1 ? socket.destroy() : socket.write("SSH-2.0-dropbear\r\n"));
    assert.equal(await problem(), undefined);
    assert.equal(asked, 2);
  });

  it("it cannot if nobody listens: names the machine, the port, the settings and what to check", async () => {
    server.close();
    await once(server, "close");
    assert.equal(
      await problem(),
      `the host 127.0.0.1 cannot be reached on port ${port} (host.address, host.port), so nothing is changed on it: ` +
        `connect ECONNREFUSED 127.0.0.1:${port}\n` +
        "fix: check that the machine runs, that its SSH server listens on this port, and that no firewall or missing VPN is " +
        `in between: ssh -p ${port} me@127.0.0.1\n` +
        "     if it is gone for good: npm run down -- STACK --host-is-gone",
    );
  });

  it("it cannot if nothing is said, as where a firewall drops what it does not let through", async () => {
    greet = () => undefined;
    assert.match((await problem(undefined, QUICK)) ?? "", /: no answer within 0\.2 s\n/);
    assert.equal(asked, 2);
  });

  it("it cannot if another kind of server answers", async () => {
    greet = (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    assert.match((await problem()) ?? "", /: what answers there is not an SSH server\n/);
    greet = (socket) => socket.write("x".repeat(100_000));
    assert.match((await problem()) ?? "", /: what answers there is not an SSH server\n/);
  });

  it("of a machine that the program has made, names no setting, and how to have it made again", async () => {
    greet = (socket) => socket.destroy();
    const text = (await problem("i-0123")) ?? "";
    assert.doesNotMatch(text, /host\.address|--host-is-gone/);
    assert.match(text, /if it is gone for good: pulumi up --refresh$/);
  });
});
