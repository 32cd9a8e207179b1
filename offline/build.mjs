// Builds the Pulumi binaries from this folder's Go modules, for machines that can reach only a module proxy.
// scripts/toolchain.mjs calls it when a binary is neither installed nor can be downloaded.
//
// Plain Node without dependencies: it runs before `npm ci` has.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

const FOLDER = import.meta.dirname;

/** Of all places to find what it reads, Kubernetes alone: the others are the clients of two dozen clouds. */
const PROMETHEUS_TAGS = ["remove_all_sd", "enable_kubernetes_sd"];

/**
 * By binary, which is also the folder of its module if it names no other: the Go package to build, the variables that the
 * linker sets, build tags where there are any, and how many minutes the build takes on two cores. With `joins`, it is
 * files of a module, one after the other.
 */
export const modules = {
  pulumi: {
    builds: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    stamps: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v3.259.0" },
    minutes: 6,
  },
  "pulumi-language-nodejs": { builds: ".", stamps: {}, minutes: 1 },
  "pulumi-language-yaml": {
    builds: "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
    stamps: {},
    minutes: 4,
  },
  "pulumi-resource-command": { builds: ".", stamps: {}, minutes: 3 },
  "pulumi-resource-docker-build": {
    builds: "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build",
    stamps: { "github.com/pulumi/pulumi-docker-build/provider.Version": "0.0.22" },
    minutes: 6,
  },
  buildkitd: {
    builds: "github.com/moby/buildkit/cmd/buildkitd",
    stamps: { "github.com/moby/buildkit/version.Version": "v0.31.0" },
    minutes: 2,
  },
  "pulumi-resource-kubernetes": {
    builds: ".",
    stamps: { "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": "4.25.0" },
    minutes: 8,
  },
  "kubernetes-control-plane": {
    builds: ".",
    stamps: {
      "k8s.io/component-base/version.gitVersion": "v1.36.3",
      "k8s.io/component-base/version.gitMajor": "1",
      "k8s.io/component-base/version.gitMinor": "36",
    },
    minutes: 15,
  },
  prometheus: {
    builds: "github.com/prometheus/prometheus/cmd/prometheus",
    stamps: { "github.com/prometheus/common/version.Version": "3.15.1" },
    tags: PROMETHEUS_TAGS,
    minutes: 3,
  },
  promtool: {
    folder: "prometheus",
    builds: "github.com/prometheus/prometheus/cmd/promtool",
    stamps: { "github.com/prometheus/common/version.Version": "3.15.1" },
    tags: PROMETHEUS_TAGS,
    minutes: 1,
  },
  "gateway-api-crds": {
    of: "sigs.k8s.io/gateway-api",
    joins: ["httproutes", "grpcroutes"].map(
      (name) => `config/crd/standard/gateway.networking.k8s.io_${name}.yaml`,
    ),
    minutes: 1,
  },
  "keda-crds": {
    of: "github.com/kedacore/keda/v2",
    joins: ["config/crd/bases/keda.sh_scaledobjects.yaml"],
    minutes: 1,
  },
  "karpenter-crds": {
    of: "sigs.k8s.io/karpenter",
    joins: ["pkg/apis/crds/karpenter.sh_nodepools.yaml"],
    minutes: 1,
  },
  "prometheus-operator-crds": {
    of: "github.com/prometheus-operator/prometheus-operator",
    joins: ["podmonitors", "prometheusrules"].map(
      (name) => `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`,
    ),
    minutes: 1,
  },
};

/** The folder of a binary's module. */
function folderOf(name) {
  return path.join(FOLDER, modules[name].folder ?? name);
}

/** Without what only a debugger reads, which the linker would drop, and which takes 12 % of the compiler's time. */
const OPTIONS = ["-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"];

/** Pure Go needs no C compiler, and an outer go.work must not interfere. */
const PURE_GO = { CGO_ENABLED: "0", GOWORK: "off" };

/**
 * The compiler is many short processes, each of which ends before its garbage matters: it takes 14 % less time when it
 * collects none below a gibibyte (client-go of Kubernetes, two cores).
 */
const FAST_COMPILER = { GOGC: "off", GOMEMLIMIT: "1GiB" };

/** What `go build` says when it fails. */
export class BuildError extends Error {}

/** A digest of everything that a binary is built from, except for the compiler. */
export function moduleDigest(name) {
  const root = folderOf(name);
  const { builds, stamps, tags, joins } = modules[name];
  const digest = createHash("sha256").update(JSON.stringify(joins ?? [builds, stamps, ...(tags ?? [])]));
  const add = (folder) => {
    const entries = fs
      .readdirSync(folder, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) add(file);
      else if (!entry.name.endsWith("_test.go"))
        digest.update(`${path.relative(root, file)}\0`).update(fs.readFileSync(file));
    }
  };
  add(root);
  return digest.digest("hex");
}

/** The release of the `go` on PATH, such as go1.26.8; undefined without one. Starts no process. */
export function goVersion(environment) {
  for (const folder of (environment.PATH ?? "").split(path.delimiter)) {
    const file = path.join(folder, "go");
    if (!path.isAbsolute(folder) || !fs.existsSync(file)) continue;
    const release = path.join(fs.realpathSync(file), "../../VERSION");
    // Its first line is the release. A `go` without that file finds its installation some other way.
    const version = fs.existsSync(release) ? fs.readFileSync(release, "utf8").split("\n")[0].trim() : "";
    return /^[\w.-]+$/.test(version) ? version : "go";
  }
  return undefined;
}

/** Builds a binary into `file`. */
export async function build(name, file, environment) {
  const { builds, stamps, tags = [], of, joins } = modules[name];
  if (joins !== undefined) {
    await join(name, of, joins, file, environment);
    return;
  }
  const linker = ["-s", "-w", ...Object.entries(stamps).map(([symbol, value]) => `-X ${symbol}=${value}`)];
  const options = [...OPTIONS, ...(tags.length > 0 ? ["-tags", tags.join(",")] : [])];
  await go(["build", ...options, "-ldflags", linker.join(" "), "-o", file, builds], name, environment);
}

/** Writes files of a Go module into one, as YAML documents. */
async function join(name, module, files, target, environment) {
  await go(["mod", "download", module], name, environment);
  const folder = (await go(["list", "-m", "-f", "{{.Dir}}", module], name, environment)).trim();
  const texts = files.map((file) => fs.readFileSync(path.join(folder, file), "utf8"));
  fs.writeFileSync(target, texts.map((text) => `---\n${text}`).join(""));
}

/** Runs Go in the folder of a tool, and returns what it prints. */
async function go(words, name, environment) {
  const child = spawn("go", words, {
    cwd: folderOf(name),
    env: { ...FAST_COMPILER, ...environment, ...PURE_GO },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  child.stdout.on("data", (chunk) => (printed += chunk));
  const code = await new Promise((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(-1);
    });
    child.on("close", resolve);
  });
  if (code !== 0) throw new BuildError(output);
  return printed;
}
