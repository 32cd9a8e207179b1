// Lets Node load the TypeScript of this checkout with swc. The SDK's host for plugins has set up ts-node, which would
// check the types of all sources at each start.
const fs = require("node:fs");

const { transformSync } = require("@swc/core");

const OPTIONS = {
  jsc: { parser: { syntax: "typescript" }, target: "es2022" },
  module: { type: "commonjs" },
  sourceMaps: "inline",
  // Nobody else's settings.
  configFile: false,
  swcrc: false,
};

require.extensions[".ts"] = (module, filename) => {
  const { code } = transformSync(fs.readFileSync(filename, "utf8"), { ...OPTIONS, filename });
  module._compile(code, filename);
};
