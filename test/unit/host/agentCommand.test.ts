import assert from "node:assert/strict";

import { directoryIn, resultOf } from "../../../components/host/agentCommand";
import { HostError } from "../../../components/host/hostError";

describe("the answer of a host's agent to an up", () => {
  it("is in a line of its own, whatever a login shell prints", () => {
    for (const printed of ["", "Welcome\n", "Welcome, "]) {
      assert.deepEqual(resultOf(`${printed}xsched-triton-result {"gpus":[]}\n`), { gpus: [] });
    }
  });

  it("is an error without a stack trace where the login shell has ended before", () => {
    const told = (text: RegExp) => (error: unknown) => error instanceof HostError && text.test(error.message);
    assert.throws(() => resultOf(""), told(/^the host has not run the command\nfix: .*\.bashrc/));
    assert.throws(() => resultOf("Welcome\n"), told(/its shell has printed: Welcome\nfix: /));
  });
});

describe("the folder that a host has made", () => {
  it("is known whatever a login shell prints before", () => {
    for (const printed of ["", "Welcome\n", "Since 30/11\n", "Welcome"]) {
      assert.equal(directoryIn(`${printed}/home/me/triton\n`, "triton"), "/home/me/triton");
      assert.equal(directoryIn(`${printed}/srv/triton\n`, "/srv/triton"), "/srv/triton");
    }
    assert.equal(directoryIn("Since 30/11 /srv/triton", "/srv/triton"), "/srv/triton");
    // What a link leads to.
    assert.equal(directoryIn("/data/triton\n", "/srv/triton"), "/data/triton");
  });

  it("is the one of the settings, or none, where the login shell has ended before", () => {
    assert.equal(directoryIn("", "/srv/triton"), "/srv/triton");
    assert.throws(
      () => directoryIn("Welcome\n", "triton"),
      /has not made the folder.*\nfix: .*npm run down, and/,
    );
  });
});
