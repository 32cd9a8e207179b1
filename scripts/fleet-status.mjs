// `npm run status -- --cwd=FOLDER STACK`: what the fleet of a program in another folder serves.
import { loadTypeScript } from "./deployed-server.mjs";
import { openFleet } from "./fleet-target.mjs";
import { table } from "./server-status.mjs";

/** Prints a fleet's models and pods. Returns 1 unless as many pods serve as are to. */
export async function fleetStatus(folder, stack) {
  const { describeFleet } = loadTypeScript("live/fleet.ts");
  const fleet = await openFleet(folder, stack);
  try {
    const { models, pods, undone, unguarded, builds, healthy } = describeFleet(fleet);
    const share = (value, unit = "") => (value > 0 ? `${value}${unit}` : "–");
    const rows = models.map(({ name, priority, floor, weight }) => [
      name,
      String(priority),
      share(floor, " %"),
      share(weight),
    ]);
    console.log(`\n${table(["model", "priority", "floor", "weight"], rows)}`);
    const places = pods.map(({ name, node, state, scheduled }) => [name, node, state, scheduled]);
    console.log(`\n${table(["pod", "node", "state", "its scheduler"], places)}`);
    if (undone !== undefined) console.log(`\nthe version asked for last did not come to serve: ${undone}`);
    if (unguarded !== undefined) console.log(`\nits guard, which watches over new versions: ${unguarded}`);
    for (const build of builds) console.log(`\nthe build of an engine: ${build}`);
    return healthy ? 0 : 1;
  } finally {
    fleet.close();
  }
}
