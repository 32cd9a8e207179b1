// Builds the components' npm package for programs outside this repository: dist/xsched-triton-<version>.tgz.
// It is compiled, because nobody compiles TypeScript in another program's node_modules.
import "./node-version.mjs";

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "..");
const SOURCE = path.join(ROOT, "components");
const TARGET = path.join(ROOT, "dist", "package");

function run(program, words, cwd) {
  const { status, error } = spawnSync(program, words, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

fs.rmSync(TARGET, { recursive: true, force: true });
run(
  path.join(ROOT, "node_modules/.bin/tsc"),
  ["--project", path.join(SOURCE, "tsconfig.build.json"), "--outDir", TARGET],
  ROOT,
);
// The other files that the components read: the agent for hosts, what is called on this machine, and the requirements that
// Triton is installed from.
fs.cpSync(SOURCE, TARGET, {
  recursive: true,
  filter: (file) =>
    !/\/(node_modules|agent\/tests|__pycache__)$/.test(file) &&
    (fs.statSync(file).isDirectory() ||
      /\.(sh|py|txt)$|\/components\/.+\/[^/]+\.cjs$|\/(schema\.json|plugin\/(index\.js|package\.json|PulumiPlugin\.yaml))$/.test(
        file,
      )),
});
// The sources of an image (components/image/buildContext.ts): the Dockerfile, and the files that its ignore file lets in.
const DOCKERFILE = "images/triton/Dockerfile";
const ignoreFile = `${DOCKERFILE}.dockerignore`;
const context = fs
  .readFileSync(path.join(ROOT, ignoreFile), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("!"))
  .map((line) => line.slice(1));
for (const place of [DOCKERFILE, ignoreFile, ...context]) {
  fs.cpSync(path.join(ROOT, place), path.join(TARGET, "image/sources", place), { recursive: true });
}
fs.copyFileSync(path.join(ROOT, "LICENSE"), path.join(TARGET, "LICENSE"));
const description = JSON.parse(fs.readFileSync(path.join(SOURCE, "package.json"), "utf8"));
fs.writeFileSync(
  path.join(TARGET, "package.json"),
  `${JSON.stringify({ ...description, main: "index.js", types: "index.d.ts" }, undefined, 2)}\n`,
);
run("npm", ["pack", "--silent", "--pack-destination", path.dirname(TARGET)], TARGET);
