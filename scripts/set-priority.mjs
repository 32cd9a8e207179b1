// `npm run set-priority`: changes the priority of a served model.
import { changeLive } from "./live-change.mjs";

await changeLive("live/setPriority.ts", ({ setPriority }, server, { model, priority }) =>
  setPriority(server, model, priority),
);
