import assert from "node:assert/strict";

import { resultOf } from "../../../components/host/agentCommand";
import { HostError } from "../../../components/host/hostError";

describe("the answer of a host's agent to an up", () => {
  it("is in a line of its own, whatever a login shell prints", () => {
    assert.deepEqual(resultOf('Welcome\nxsched-triton-result {"gpus":[]}\n'), { gpus: [] });
  });

  it("is an error without a stack trace where the login shell has ended before", () => {
    const told = (text: RegExp) => (error: unknown) => error instanceof HostError && text.test(error.message);
    assert.throws(() => resultOf(""), told(/^the host has not run the command\nfix: .*\.bashrc/));
    assert.throws(() => resultOf("Welcome\n"), told(/its shell has printed: Welcome\nfix: /));
  });
});
