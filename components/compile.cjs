// Lets Node load the TypeScript of this checkout with swc, for the program (Pulumi.yaml) and the plugin. ts-node would
// check the types of all sources at each start of the plugin, and add a fifth to an `up` without changes. With
// SOURCE_MAPS=1, stack traces show lines of the TypeScript instead of the JavaScript that it becomes.
const fs = require("node:fs");
const Module = require("node:module");

const { transformSync } = require("@swc/core");

const withMaps = process.env.SOURCE_MAPS !== undefined;

const OPTIONS = {
  jsc: { parser: { syntax: "typescript" }, target: "es2022" },
  module: { type: "commonjs" },
  sourceMaps: withMaps ? "inline" : false,
  // Nobody else's settings.
  configFile: false,
  swcrc: false,
};

// What the SDK depends on, as the SDK itself finds it.
const ofSdk = (name) => require.resolve(name, { paths: [require.resolve("@pulumi/pulumi")] });

// The SDK notes where each resource is made. For that it looks up the whole stack in source maps, its own among them,
// unless it is told that there are none.
if (!withMaps) {
  const noMaps = { retrieveSourceMap: () => null, overrideRetrieveSourceMap: true };
  require(ofSdk("source-map-support")).install(noMaps);
}

// The SDK loads these two only to serialize functions, which this program never does. They are a fifth of all that it
// loads, so they wait until they are used.
for (const name of ["typescript", "@npmcli/arborist"]) {
  const file = ofSdk(name);
  const load = () => {
    delete require.cache[file];
    return require(file);
  };
  let loaded;
  const exports = new Proxy(
    {},
    // Marked as an ES module, because the SDK would copy all properties of any other.
    { get: (_, property) => (property === "__esModule" ? true : (loaded ??= load())[property]) },
  );
  require.cache[file] = Object.assign(new Module(file), { filename: file, loaded: true, exports });
}

require.extensions[".ts"] = (module, filename) => {
  const { code } = transformSync(fs.readFileSync(filename, "utf8"), { ...OPTIONS, filename });
  module._compile(code, filename);
};
