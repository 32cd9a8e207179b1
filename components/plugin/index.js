// What Pulumi starts to use the components from another language. In a checkout the sources are TypeScript; in the
// packed package they are compiled.
const fs = require("node:fs");
const path = require("node:path");

if (fs.existsSync(path.join(__dirname, "provider.ts"))) require("../compile.cjs");
require("./provider").serve(process.argv.slice(2));
