// `npm run bench -- --cwd=FOLDER STACK …`: a benchmark of a pod like those of the fleet that a program in another folder has
// deployed.
import { loadTypeScript } from "./deployed-server.mjs";
import { openFleet } from "./fleet-target.mjs";
import { UsageError } from "./stack-target.mjs";

/** What only a server at an address has. */
const ELSEWHERE = ["--url", "--grpc"];

/** Measures, and returns the exit status. */
export async function fleetBench(program, stack, words, folder) {
  const { main, longestSeconds } = loadTypeScript("bench/main.ts");
  const { parseOptions } = loadTypeScript("bench/options.ts");
  const { removeBenchPod, startBenchPod } = loadTypeScript("bench/fleetPod.ts");
  const { Interrupted } = loadTypeScript("bench/interrupted.ts");
  const command = parseOptions(words);
  if (command.kind === "help") return (await main({ words, stackGiven: true, folder })).status;
  if (stack === undefined) {
    throw new UsageError("Which stack?\nfix: name it: npm run bench -- STACK --cwd=FOLDER --high …");
  }
  const elsewhere = ELSEWHERE.find((name) => words.some((word) => word.split("=")[0] === name));
  if (elsewhere !== undefined) {
    throw new UsageError(
      `${elsewhere} means nothing on a fleet: a pod of its own is measured, which only kubectl reaches.\nfix: remove ${elsewhere}, or remove --cwd`,
    );
  }
  const fleet = await openFleet(program, stack);
  try {
    if (command.kind === "restore") {
      const removed = removeBenchPod(fleet);
      console.log(removed ? "Removed the pod of a benchmark." : "There is no pod of a benchmark.");
      return 0;
    }
    const { high, middle, lows } = command.options;
    const models = [high, middle, ...lows.map(({ model }) => model)].filter((model) => model);
    const deployed = await startBenchPod(fleet, models, longestSeconds(command), console.error);
    try {
      return (await main({ words, stackGiven: true, deployed, folder })).status;
    } finally {
      removeBenchPod(fleet);
    }
  } catch (error) {
    // While the pod was starting.
    if (error instanceof Interrupted) return error.status;
    throw error;
  } finally {
    fleet.close();
  }
}
