import * as assert from "node:assert/strict";

import { loadScript } from "../../scripts";

interface Found {
  readonly State?: { readonly Name: string };
  readonly StateReason?: { readonly Code: string; readonly Message?: string };
  readonly StateTransitionReason?: string;
  readonly LaunchTime?: Date;
}

interface Ec2 {
  describe(): Promise<Found | undefined>;
  console(): Promise<string>;
  start(): Promise<void>;
}

/** What a host says of itself. */
interface Answer {
  readonly server?: object;
  readonly problem?: string;
}

interface State {
  readonly state: string;
  readonly since?: string;
  readonly why?: string;
  readonly takenBack?: boolean;
}

const { instanceState, stoppedLine, startInstance, notRunning, stoppedInstance, isAskedAfter } = loadScript(
  "instance.mjs",
) as {
  readonly instanceState: (ec2: Ec2) => Promise<State>;
  readonly stoppedLine: (state: State, of: { name: string; instanceId: string }) => string | undefined;
  readonly startInstance: (
    ec2: Ec2,
    aws: object,
    stack: string,
    say: (text: string) => void,
    pause: () => Promise<void>,
  ) => Promise<boolean>;
  readonly notRunning: (
    stack: { name: string },
    outputs: { aws?: object },
    connect: () => Promise<Ec2>,
  ) => Promise<string | undefined>;
  readonly stoppedInstance: (
    stack: { name: string },
    outputs: { aws?: object },
    connect: () => Promise<Ec2>,
  ) => Promise<{ line: string; gone: boolean } | undefined>;
  readonly isAskedAfter: (outputs?: object) => boolean;
};

const { awaitServing, lookAtHost } = loadScript("await-serving.mjs") as {
  readonly lookAtHost: (
    stack: object,
    outputs: { host: object },
    run: () => { status: number; stdout: string; stderr: string },
  ) => Answer;
  readonly awaitServing: (
    outputs: object,
    look: () => Answer,
    say: (text: string) => void,
    options: { clock: () => number; pause: () => Promise<void>; longest?: number },
  ) => Promise<Answer & { healthy: boolean }>;
};

const ID = "i-0123456789abcdef0";
const AWS = { instanceId: ID, region: "us-east-1", instanceType: "g5.xlarge", zone: "us-east-1b" };
const STOPPED: Found = {
  State: { Name: "stopped" },
  StateReason: { Code: "Client.InstanceInitiatedShutdown" },
  StateTransitionReason: "",
};
const CONSOLE = `[  12.3] cloud-init: done
[ 900.1] env[711]: xsched-triton stops this machine: no inference request for 30 min (2026-11-28T20:30:10Z)
[ 901.2] reboot: Power down
[ 700.2] env[705]: xsched-triton stops this machine: no inference request for 45 min (2026-11-29T12:00:01Z)
`;

function refusal(name: string): Error {
  return Object.assign(new Error(name), { name });
}

/** EC2 that describes an instance in these ways, one after the other. */
function ec2(...found: (Found | Error | undefined)[]): Ec2 & { starts: number } {
  let looks = 0;
  return {
    starts: 0,
    async describe() {
      const next = found[Math.min(looks++, found.length - 1)];
      if (next instanceof Error) throw next;
      return Promise.resolve(next);
    },
    console: () => Promise.resolve(CONSOLE),
    start() {
      this.starts++;
      return Promise.resolve();
    },
  };
}

const named = (state: string): Found => ({ State: { Name: state } });

describe("an instance that does not run", () => {
  const of = { name: "prod", instanceId: ID };
  const line = async (each: Ec2): Promise<string | undefined> => stoppedLine(await instanceState(each), of);

  it("says in its own words why it has stopped itself, the last time", async () => {
    assert.equal(
      await line(ec2(STOPPED)),
      `The instance ${ID} of the stack "prod" is stopped since 2026-11-29 12:00 UTC (no inference request for 45 min); npm run wake -- prod starts it.`,
    );
  });

  it("does not say why it has stopped another time, which its console still shows", async () => {
    const found = (time: string): Found => ({ ...STOPPED, LaunchTime: new Date(time) });
    assert.match((await line(ec2(found("2026-11-29T11:00:00Z")))) ?? "", /no inference request for 45 min/);
    assert.equal(
      await line(ec2(found("2026-11-29T14:00:00Z"))),
      `The instance ${ID} of the stack "prod" is stopped (it has shut itself down); npm run wake -- prod starts it.`,
    );
  });

  it("is known to have shut itself down where its console may not be read", async () => {
    const mute = { ...ec2(STOPPED), console: () => Promise.reject(refusal("UnauthorizedOperation")) };
    assert.equal(
      await line(mute),
      `The instance ${ID} of the stack "prod" is stopped (it has shut itself down); npm run wake -- prod starts it.`,
    );
  });

  for (const [code, why] of [
    ["Client.UserInitiatedShutdown", "it was stopped through EC2, by its schedule or by somebody"],
    ["Server.ScheduledStop", "AWS has stopped it for maintenance of the hardware"],
    ["Server.New", "a message of EC2"],
  ] as const) {
    it(`was stopped by somebody else: ${code}`, async () => {
      const found = {
        ...named("stopping"),
        StateReason: { Code: code, Message: "a message of EC2" },
        StateTransitionReason: "User initiated (2026-11-29 18:00:07 GMT)",
      };
      assert.equal(
        await line(ec2(found)),
        `The instance ${ID} of the stack "prod" is stopping since 2026-11-29 18:00 UTC (${why}); npm run wake -- prod starts it.`,
      );
    });
  }

  it("is started by AWS alone where AWS has taken it back", async () => {
    const found = { ...named("stopped"), StateReason: { Code: "Server.SpotInstanceShutdown" } };
    assert.equal(
      await line(ec2(found)),
      `The instance ${ID} of the stack "prod" is stopped (AWS has taken its spot capacity back); AWS starts it again as soon as there is capacity.`,
    );
  });

  it("is asked after first where it stops on purpose, or is reached through Session Manager", () => {
    const open = { ssh: { address: "203.0.113.9" } };
    const closed = { ssh: { address: ID, proxyCommand: "aws ssm start-session" } };
    assert.ok(isAskedAfter({ aws: { ...AWS, stops: { idleMinutes: 60 } }, host: open }));
    assert.ok(isAskedAfter({ aws: AWS, host: closed }));
    assert.ok(!isAskedAfter({ aws: AWS, host: open }));
    assert.ok(!isAskedAfter({ host: closed }));
    assert.ok(!isAskedAfter());
  });

  it("is told from one that is gone, which an update replaces", async () => {
    const look = (found: Found): ReturnType<typeof stoppedInstance> =>
      stoppedInstance({ name: "prod" }, { aws: AWS }, () => Promise.resolve(ec2(found)));
    assert.equal((await look(STOPPED))?.gone, false);
    assert.equal((await look(named("terminated")))?.gone, true);
    assert.equal(await look(named("running")), undefined);
  });

  it("is not talked of while it runs", async () => {
    assert.equal(await line(ec2(named("running"))), undefined);
  });

  it("may be gone", async () => {
    for (const gone of [undefined, named("terminated"), refusal("InvalidInstanceID.NotFound")]) {
      assert.match(
        (await line(ec2(gone))) ?? "",
        /does not exist any more; npm run up -- prod --refresh makes/,
      );
    }
  });

  it("is no matter where EC2 cannot be asked, or where there is none", async () => {
    const outputs = { aws: AWS };
    const asked = (found: Found | Error): Promise<string | undefined> =>
      notRunning({ name: "prod" }, outputs, () => Promise.resolve(ec2(found)));
    assert.equal(await asked(refusal("CredentialsProviderError")), undefined);
    assert.match((await asked(STOPPED)) ?? "", /is stopped since/);
    assert.equal(await notRunning({ name: "prod" }, {}, () => Promise.reject(new Error("asked"))), undefined);
  });
});

describe("the start of an instance", () => {
  const start = async (each: Ec2): Promise<{ before: boolean; said: string[]; pauses: number }> => {
    const said: string[] = [];
    let pauses = 0;
    const pause = (): Promise<void> => {
      if (++pauses > 2000) throw new Error("it does not end");
      return Promise.resolve();
    };
    const before = await startInstance(each, AWS, "prod", (text) => said.push(text), pause);
    return { before, said, pauses };
  };

  it("happens once, after the end of its stop, and is over when it runs", async () => {
    const each = ec2(
      named("stopping"),
      named("stopping"),
      STOPPED,
      STOPPED,
      named("pending"),
      named("running"),
    );
    const { before, said, pauses } = await start(each);
    assert.deepEqual([before, each.starts, pauses], [true, 1, 5]);
    assert.deepEqual(said, [
      `The instance ${ID} of the stack "prod" is stopping (EC2 does not say why)`,
      `The instance ${ID} of the stack "prod" is stopped since 2026-11-29 12:00 UTC (no inference request for 45 min)`,
      `The instance ${ID} of the stack "prod" is pending`,
    ]);
  });

  it("takes as long after a long stop as after a short one", async () => {
    const stopping = Array.from({ length: 60 }, () => named("stopping"));
    // EC2 may describe it as it was for some seconds after the start.
    const each = ec2(...stopping, STOPPED, STOPPED, STOPPED, named("pending"), named("running"));
    assert.equal((await start(each)).before, true);
    assert.equal(each.starts, 1);
  });

  for (const name of ["IncorrectInstanceState", "IncorrectSpotRequestState"]) {
    it(`is tried again while EC2 has not heard everywhere of the stop: ${name}`, async () => {
      let tries = 0;
      const each = {
        ...ec2(STOPPED),
        describe: () => Promise.resolve(tries < 4 ? STOPPED : named("running")),
        start: () => (++tries < 4 ? Promise.reject(refusal(name)) : Promise.resolve()),
      };
      assert.equal((await start(each)).before, true);
      assert.equal(tries, 4);
    });
  }

  it("does nothing to one that runs, or that somebody else has started", async () => {
    const running = ec2(named("running"));
    assert.deepEqual(await start(running), { before: false, said: [], pauses: 0 });
    const pending = ec2(named("pending"), named("running"));
    assert.equal((await start(pending)).before, true);
    assert.deepEqual([running.starts, pending.starts], [0, 0]);
  });

  for (const [name, message] of [
    [
      "InsufficientInstanceCapacity",
      /^AWS has no capacity for g5\.xlarge in us-east-1b now, so i-\w+ stays stopped\.\nfix: try again later: npm run wake -- prod\n.*host\.zones/,
    ],
    [
      "UnauthorizedOperation",
      /may not start i-\w+\.\nfix: allow them ec2:StartInstances on instance\/i-\w+ in us-east-1$/,
    ],
    [
      "IncorrectSpotRequestState",
      /its spot request is not one that can: .*\nfix: see the request: aws ec2 describe-spot-instance-requests --region us-east-1 --filters Name=instance-id,Values=i-\w+$/,
    ],
    [
      "RequestLimitExceeded",
      /^EC2 does not start i-\w+: RequestLimitExceeded: .*\nfix: mend what it says, and run it again: npm run wake -- prod$/,
    ],
  ] as const) {
    it(`says what is in its way: ${name}`, async () => {
      await assert.rejects(start({ ...ec2(STOPPED), start: () => Promise.reject(refusal(name)) }), {
        message,
      });
    });
  }

  it("is not tried where EC2 cannot be asked, with a fix and without a stack trace", async () => {
    const without = ec2(refusal("CredentialsProviderError"));
    await assert.rejects(start(without), {
      isForUser: true,
      message:
        /^EC2 does not say whether i-\w+ runs: CredentialsProviderError: .*\nfix: aws sts .*aws:profile$/,
    });
    await assert.rejects(start(ec2(refusal("UnauthorizedOperation"))), {
      message: /\nfix: allow the credentials of this machine ec2:DescribeInstances$/,
    });
  });

  it("is not tried where only AWS may, nor for one that is gone", async () => {
    const spot = ec2({ ...named("stopped"), StateReason: { Code: "Server.SpotInstanceShutdown" } });
    await assert.rejects(start(spot), { message: /nobody else can start it/ });
    await assert.rejects(start(ec2(undefined)), {
      message: /does not exist any more\.\nfix: npm run up -- prod --refresh/,
    });
    assert.equal(spot.starts, 0);
  });

  it("is given up when EC2 stops it again, or never comes to an end", async () => {
    await assert.rejects(start(ec2(STOPPED)), { message: /has stopped i-\w+ again right after its start/ });
    await assert.rejects(start(ec2(named("pending"))), { message: /is still pending\.\nfix: run it again/ });
  });
});

describe("the wait for the models of an instance that has started", () => {
  const model = (name: string, ready: boolean, setAside = false): object => ({ name, ready, setAside });
  const outputs = { models: [{ name: "a" }, { name: "b" }] };
  const both = (a: boolean, b: boolean): object => ({
    running: true,
    models: [model("a", a), model("b", b)],
  });

  const wait = async (...answers: (object | undefined)[]): Promise<{ healthy: boolean; said: string[] }> => {
    return waitFor(...answers.map((server) => (server === undefined ? {} : { server })));
  };

  const waitFor = async (
    ...answers: Answer[]
  ): Promise<{ healthy: boolean; said: string[]; problem?: string }> => {
    const said: string[] = [];
    let [now, looks] = [0, 0];
    const { healthy, problem } = await awaitServing(
      outputs,
      () => answers[Math.min(looks++, answers.length - 1)] ?? {},
      (text) => said.push(text),
      {
        clock: () => now,
        pause: () => {
          now += 2000;
          return Promise.resolve();
        },
        longest: 600_000,
      },
    );
    return { healthy, said, ...(problem !== undefined && { problem }) };
  };

  it("says each step once, and ends when all of them serve", async () => {
    const starts = { running: false, models: [] };
    assert.deepEqual(
      await wait(undefined, undefined, starts, both(false, false), both(true, false), both(true, true)),
      {
        healthy: true,
        said: [
          "it runs; waiting for its SSH server (0 s)",
          "it answers; Triton starts (4 s)",
          "Triton answers; 0 of 2 models are ready (6 s)",
          "Triton answers; 1 of 2 models are ready (8 s)",
        ],
      },
    );
  });

  it("says every half minute that it goes on, and gives up in the end", async () => {
    const { healthy, said } = await wait(undefined);
    assert.equal(healthy, false);
    assert.deepEqual(said.slice(0, 3), [
      "it runs; waiting for its SSH server (0 s)",
      "it runs; waiting for its SSH server (30 s)",
      "it runs; waiting for its SSH server (60 s)",
    ]);
    assert.equal(said.length, 21);
  });

  it("does not wait for a model that is set aside, but for all others", async () => {
    const aside = (ready: boolean): object => ({
      running: true,
      models: [model("a", ready), model("b", false, true)],
    });
    const { healthy, said } = await wait(aside(false), aside(true));
    assert.equal(healthy, false);
    assert.deepEqual(said, ["Triton answers; 0 of 2 models are ready (0 s)"]);
  });

  it("says why a host that answers does not say what it serves", async () => {
    const ended = (status: number, stderr: string): Answer =>
      lookAtHost({}, { host: {} }, () => ({ status, stdout: "", stderr }));
    assert.deepEqual(ended(255, "ssh: connect to host 203.0.113.9 port 22: Connection refused\n"), {});
    const refused = ended(1, "Welcome\nerror: the disk is full\nfix: delete something\n");
    assert.deepEqual(refused, { problem: "the disk is full" });
    assert.deepEqual(ended(127, "bash: agent: not found\n"), { problem: "bash: agent: not found" });
    const { healthy, said, problem } = await waitFor({}, refused);
    assert.deepEqual([healthy, problem], [false, "the disk is full"]);
    assert.equal(said[1], "it answers, but does not say what it serves: the disk is full (2 s)");
  });

  it("waits for the gateway, without which no client gets in", async () => {
    let looks = 0;
    const { healthy } = await awaitServing(
      { ...outputs, gateway: {} },
      () => ({ server: { ...both(true, true), gateway: { running: ++looks > 3 } } }),
      () => undefined,
      { clock: () => 0, pause: () => Promise.resolve() },
    );
    assert.deepEqual([healthy, looks], [true, 4]);
  });
});
