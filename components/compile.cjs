// Lets Node load the TypeScript of this checkout with swc, for the program (Pulumi.yaml) and the plugin. ts-node would
// check the types of all sources at each start of the plugin, and add a fifth to an `up` without changes. With
// SOURCE_MAPS=1, stack traces show lines of the TypeScript instead of the JavaScript that it becomes.
const fs = require("node:fs");

const { transformSync } = require("@swc/core");

const OPTIONS = {
  jsc: { parser: { syntax: "typescript" }, target: "es2022" },
  module: { type: "commonjs" },
  // The SDK notes where each resource is made, and would look that up in the maps each time.
  sourceMaps: process.env.SOURCE_MAPS === undefined ? false : "inline",
  // Nobody else's settings.
  configFile: false,
  swcrc: false,
};

require.extensions[".ts"] = (module, filename) => {
  const { code } = transformSync(fs.readFileSync(filename, "utf8"), { ...OPTIONS, filename });
  module._compile(code, filename);
};
