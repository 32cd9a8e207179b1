// `npm run set-floor`: changes the floor of a served model.
import { changeLive } from "./live-change.mjs";

await changeLive("live/setFloor.ts", ({ setFloor }, server, { model, floor }) =>
  setFloor(server, model, floor),
);
