// Writes the files generated from the rules in components/settings and the table of Triton's releases: the types of the
// components' arguments, docs/settings.md, the plugin's schema and what the image's entrypoint knows of the releases. A unit test fails when one of them is stale.
import "./node-version.mjs";

import { createRequire } from "node:module";

const load = createRequire(import.meta.url);
load("ts-node/register/transpile-only");
await load("./generate/main.ts").generate();
