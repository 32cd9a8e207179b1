// Writes the files generated from the rules in components/settings: the types of the components' arguments,
// docs/settings.md and the plugin's schema. A unit test fails when one of them is stale.
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);
load("ts-node/register/transpile-only");
await load("./generate/main.ts").generate();
