import * as assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import { until } from "../until";
import { ControlPlane } from "./controlPlane";
import { FleetOnCluster, image, PODS } from "./fleetOnCluster";
import { skipWithout } from "./needs";
import { requireSuccess } from "./processes";
import type { RunningPod } from "./runningPod";
import { StandInGateway } from "./standInGateway";
import { TritonClient } from "./triton";

/** Whether things are done as often as it takes to believe in 0 failed requests, for about an hour. */
const SOAK = process.env.FLEET_SOAK !== undefined;
const ROUNDS = SOAK
  ? { losses: 5, kills: 10, rollouts: 20, deletions: 10, changes: 50 }
  : { losses: 1, kills: 1, rollouts: 0, deletions: 0, changes: 0 };

/** Requests a second to each of two models while one pod has to do for two. */
const RATE = SOAK ? 50 : 10;

/** How long a node is asked here that is lost, in milliseconds. Kubernetes takes about 50 s to notice. */
const SILENT_MILLISECONDS = SOAK ? 50_000 : 3000;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("a fleet that loses nodes and pods, on a real control plane of Kubernetes", function () {
  let started: FleetOnCluster | undefined;
  let gateway: StandInGateway | undefined;
  let client: TritonClient | undefined;
  /** Requests that the tests so far have sent. None has failed, or a test has. */
  let sent = 0;

  const fleet = (): FleetOnCluster => started ?? assert.fail("no fleet");
  const retrying = (): StandInGateway => gateway ?? assert.fail("no Gateway");

  /** Does something while clients of a Gateway that retries ask two models. */
  const counted = async (work: () => Promise<unknown>): Promise<void> => {
    sent += (await fleet().measured(work, { client, rate: RATE })).sent;
  };

  const tell = (what: string): void => {
    console.log(`      ${what}; so far ${sent} requests, of which ${retrying().retried} were sent again`);
  };

  const replaced = (lost: RunningPod): Promise<void> =>
    until("another pod serves in its place", async () => {
      const names = (await fleet().remaining()).map(({ metadata }) => metadata.name);
      return !names.includes(lost.name) && (await fleet().rolledOut());
    });

  const somePod = (): RunningPod => fleet().nodes.serving[0] ?? assert.fail("no pod");

  before(async function () {
    skipWithout(this, ControlPlane.missing);
    started = await FleetOnCluster.start();
    // So that a pod which takes the place of a lost one isn't beside the other.
    await started.nodes.addNode("node-3", 4);
    await started.up();
    const made = await StandInGateway.start(started.proxy, started.ports.httpPort);
    gateway = made.gateway;
    client = new TritonClient(made.port, false, 120);
  });

  after(async () => {
    client?.close();
    await gateway?.stop();
    await started?.stop();
  });

  it("answers every request of a Gateway that retries while a node is lost", async () => {
    let atStake = 0;
    for (let count = 1; count <= ROUNDS.losses; count++) {
      const lost = somePod();
      const before = retrying().retried;
      let inFlight = 0;
      await counted(async () => {
        await until("requests are in flight", () => retrying().inFlightAt(lost.ip) > 0);
        fleet().nodes.cutPower(lost.node);
        inFlight = retrying().inFlightAt(lost.ip);
        // For so long, its pod is one of those that are asked.
        await pause(SILENT_MILLISECONDS);
        await fleet().nodes.reportSilence(lost.node);
        await replaced(lost);
      });
      // Not each of those in flight: the pod may have answered it just before, and this process not have heard of that.
      assert.ok(retrying().retried > before);
      atStake += inFlight;
      await fleet().nodes.removeNode(lost.node);
      await fleet().nodes.addNode(`node-after-loss-${count}`, 4);
    }
    tell(`${ROUNDS.losses} nodes lost with ${atStake} requests in flight`);
  });

  it("answers every request of a Gateway that retries while Triton is killed in a pod", async () => {
    fleet().nodes.mayCrash = true;
    for (let count = 1; count <= ROUNDS.kills; count++) {
      await counted(async () => {
        const crashed = somePod();
        const container = crashed.container("triton");
        const { restarts } = container;
        await container.kill("SIGKILL", true);
        await until("it is started again", () => container.restarts > restarts);
        await until("it serves again", async () => crashed.ready && (await fleet().rolledOut()));
      });
    }
    tell(`${ROUNDS.kills} times, Triton was killed`);
  });

  it("keeps a version that has served when a model breaks in one pod, and answers every request", async () => {
    const before = await fleet().template();
    await counted(async () => {
      const spoilt = somePod();
      const container = spoilt.container("triton");
      const { restarts } = container;
      spoilt.spoil("batch", "1/model.py", "raise RuntimeError('a bad sector')\n");
      await container.kill("SIGKILL", true);
      await until("it fails", () => container.restarts >= restarts + 4);
      const { output } = await fleet().command("status", "dev");
      assert.match(output, new RegExp(`${spoilt.name} .*(CrashLoopBackOff|not ready)`));
      assert.deepEqual(await fleet().template(), before);
      await fleet().plane.call("DELETE", `${PODS}/${spoilt.name}`);
      await replaced(spoilt);
    });
    fleet().nodes.mayCrash = false;
  });

  if (SOAK) {
    /** As `counted`, of clients in the cluster, which nobody retries for. */
    const direct = async (work: () => Promise<unknown>): Promise<void> => {
      sent += (await fleet().measured(work)).sent;
    };

    it("fails no request over many rollouts", async () => {
      for (let count = 1; count <= ROUNDS.rollouts; count++) {
        fleet().set(["image"], image(100 + count));
        await direct(() => fleet().up());
      }
      tell(`${ROUNDS.rollouts} rollouts`);
    });

    it("fails no request while many pods are deleted", async () => {
      for (let count = 1; count <= ROUNDS.deletions; count++) {
        await direct(async () => {
          const [pod] = await fleet().remaining();
          await fleet().plane.call("DELETE", `${PODS}/${pod?.metadata.name ?? ""}`);
          await until("another pod serves", async () => {
            return (
              !(await fleet().servingPods()).includes(pod?.metadata.uid ?? "") && (await fleet().rolledOut())
            );
          });
        });
      }
      tell(`${ROUNDS.deletions} pods deleted`);
    });

    it("fails no request over many live changes", async () => {
      for (let count = 1; count <= ROUNDS.changes; count++) {
        fleet().set(["models", 1, "priority"], -count);
        await direct(async () => {
          await fleet().up();
          const wanted = `-${count} 0 0`;
          await until("the schedulers have it", async () =>
            isDeepStrictEqual(await fleet().scheduled("batch"), [wanted, wanted]),
          );
        });
      }
      tell(`${ROUNDS.changes} changes of a priority`);
    });
  }

  it("leaves nothing", async () => {
    requireSuccess(await fleet().pulumi("destroy", "--yes", "--skip-preview"));
    await until("all pods have ended", () => fleet().nodes.pods.size === 0);
  });
});
