// `npm run set-weight`: changes the weight of a served model.
import { changeLive } from "./live-change.mjs";

await changeLive("live/setWeight.ts", ({ setWeight }, server, { model, weight }) =>
  setWeight(server, model, weight),
);
