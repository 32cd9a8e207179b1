// Lets Node load the TypeScript of this checkout with swc, for the program (Pulumi.yaml), the plugin and the tests. ts-node
// would check the types of all sources at each start of the plugin, and add a fifth to an `up` without changes. With
// SOURCE_MAPS=1, stack traces show lines of the TypeScript instead of the JavaScript that it becomes.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

const withMaps = process.env.SOURCE_MAPS !== undefined;

const OPTIONS = {
  jsc: { parser: { syntax: "typescript" }, target: "es2022" },
  module: { type: "commonjs" },
  sourceMaps: withMaps ? "inline" : false,
  // Nobody else's settings.
  configFile: false,
  swcrc: false,
};

// What the SDK depends on, as the SDK itself finds it, and the SDK's own modules.
const ofSdk = (name) => require.resolve(name, { paths: [require.resolve("@pulumi/pulumi")] });

// The SDK notes where each resource and each promise is made. For that it looks up the whole stack in source maps, its own
// among them, unless it is told that there are none. V8's own text of a stack is the same without maps, and cheaper.
if (withMaps) {
  process.setSourceMapsEnabled(true);
} else {
  const noMaps = { retrieveSourceMap: () => null, overrideRetrieveSourceMap: true };
  require(ofSdk("source-map-support")).install(noMaps);
  Error.prepareStackTrace = undefined;
}

/**
 * Lets modules wait until an export of one of them is used.
 *
 * @param {string[]} names packages, or modules of the SDK
 * @param {(load: () => object, name: string) => unknown} exportOf what stands for an export until then
 */
function loadLater(names, exportOf = (load, name) => load()[name]) {
  const files = names.map(ofSdk);
  let waiting = true;
  for (const file of files) {
    const load = () => {
      if (waiting) for (const other of files) delete require.cache[other];
      waiting = false;
      return require(file);
    };
    // Marked as an ES module, because the SDK would copy all properties of any other.
    const get = (_, name) => (name === "__esModule" ? true : exportOf(load, name));
    const exports = new Proxy({}, { get });
    require.cache[file] = Object.assign(new Module(file), { filename: file, loaded: true, exports });
  }
}

// Half of what the SDK loads is for what this program never does, so it waits until it is used: the automation API, what
// serializes functions, …
loadLater(["@pulumi/pulumi/automation"]);
loadLater(["typescript"]);
loadLater(["@npmcli/arborist"]);
loadLater(["normalize-package-data"], (load, name) => (name === "default" ? load() : load()[name]));
// … for which V8's debugger reports each script from the start …
loadLater(["@pulumi/pulumi/runtime/closure/v8Hooks"], (load, name) =>
  name === "isInitializedAsync" ? () => Promise.resolve() : load()[name],
);
// … and tracing. The SDK takes its functions and classes out of their modules at once.
loadLater(
  [
    "exporter-zipkin",
    "instrumentation",
    "instrumentation-grpc",
    "resources",
    "sdk-trace-base",
    "sdk-trace-node",
  ].map((name) => `@opentelemetry/${name}`),
  (load, name) =>
    new Proxy(function () {}, {
      apply: (_, self, values) => Reflect.apply(load()[name], self, values),
      construct: (_, values) => Reflect.construct(load()[name], values),
    }),
);

/** Where compiled sources are kept, by their content. `npm ci` empties it. */
const KEPT = path.join(__dirname, "../node_modules/.cache/compiled");
const MADE_BY = JSON.stringify([require("@swc/core/package.json").version, OPTIONS]);

/** A source in TypeScript as JavaScript. */
function compile(source, filename) {
  const transform = () => require("@swc/core").transformSync(source, { ...OPTIONS, filename }).code;
  // A map names its file.
  if (withMaps) return transform();
  const file = path.join(KEPT, `${createHash("sha256").update(MADE_BY).update(source).digest("hex")}.js`);
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    const code = transform();
    try {
      fs.mkdirSync(KEPT, { recursive: true });
      // Whoever compiles the same meanwhile never reads half of it.
      fs.writeFileSync(`${file}.${process.pid}`, code);
      fs.renameSync(`${file}.${process.pid}`, file);
    } catch {
      // A checkout that cannot be written to is compiled each time.
    }
    return code;
  }
}

require.extensions[".ts"] = (module, filename) => {
  module._compile(compile(fs.readFileSync(filename, "utf8"), filename), filename);
};
