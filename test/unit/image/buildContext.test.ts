import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { ImageVariant } from "../../../components";
import { type BuildContext, stageBuildContext } from "../../../components/image/buildContext";

const ROOT = path.resolve(__dirname, "../../..");
const IGNORE_FILE = "images/triton/Dockerfile.dockerignore";

describe("the build context of an image", () => {
  let folder: string;
  let program: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-context-"));
    program = path.join(folder, "program");
    const native = ["http_status", "xsched", "tensorrt_backend", "triton_hooks"].map(
      (part) => `native/${part}`,
    );
    for (const part of ["images", ...native]) {
      fs.cpSync(path.join(ROOT, part), path.join(folder, "project", part), {
        recursive: true,
        filter: (file) => !/\/(build|output)$/.test(file),
      });
    }
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const project = (...parts: string[]): string => path.join(folder, "project", ...parts);
  const stage = (variant: ImageVariant): BuildContext => stageBuildContext(variant, program, project());
  const revision = (variant: ImageVariant = "patched"): string => stage(variant).revision;

  const staged = (variant: ImageVariant): string[] => {
    const { location } = stage(variant);
    return fs
      .readdirSync(path.join(program, location), { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(path.join(program, location), path.join(entry.parentPath, entry.name)))
      .sort();
  };

  it("has every file that the Dockerfile copies or mounts, and no other", () => {
    const files = [...new Set([...staged("patched"), ...staged("hooked")])];
    const dockerfile = fs.readFileSync(project("images/triton/Dockerfile"), "utf8");
    const copied = [
      ...[...dockerfile.matchAll(/^COPY (.*) \S+$/gm)].flatMap(([, words = ""]) => words.split(" ")),
      ...[...dockerfile.matchAll(/--mount=type=bind,source=([^,\s]+)/g)].map(([, file = ""]) => file),
    ].filter((word) => !word.startsWith("/") && !word.startsWith("--"));
    assert.ok(copied.length > 3);
    for (const place of copied) {
      assert.ok(
        files.some((file) => file === place || file.startsWith(`${place}/`)),
        place,
      );
    }
    for (const file of files.filter((each) => each !== "images/triton/Dockerfile")) {
      assert.ok(
        copied.some((place) => file === place || file.startsWith(`${place}/`)),
        file,
      );
    }
    assert.ok(!files.some((file) => /README|tests|bench|\.dockerignore/.test(file)));
  });

  it("has everything that CMake builds the core from", () => {
    const files = staged("transparent");
    const sources = fs
      .readFileSync(project("native/xsched/CMakeLists.txt"), "utf8")
      .match(/(?<=[\s/])[a-z]+\/[\w/]+\.(cc|py|def|txt|map|in)\b/g);
    assert.ok(sources !== null && sources.length > 30);
    for (const source of sources) {
      assert.ok(files.includes(`native/xsched/${source}`), source);
    }
    assert.ok(!files.some((file) => /^native\/(tensorrt_backend|triton_hooks)/.test(file)));
  });

  it("has everything that CMake builds the hooks from, and of the TensorRT backend only what they use", () => {
    const files = staged("hooked");
    const [, sources = ""] =
      /add_library\(xsched_triton_hooks SHARED\n([^)]+)\)/.exec(
        fs.readFileSync(project("native/triton_hooks/CMakeLists.txt"), "utf8"),
      ) ?? [];
    const list = sources.trim().split(/\s+/);
    assert.ok(list.length > 3);
    for (const source of list) {
      const file = path.join("native/triton_hooks", source);
      assert.ok(files.includes(file), file);
      const text = fs.readFileSync(project(file), "utf8");
      for (const [, header = ""] of text.matchAll(/^#include "([\w.]+)"/gm)) {
        assert.ok(
          files.some((each) => each.startsWith("native/t") && path.basename(each) === header),
          `${file}: ${header}`,
        );
      }
    }
    assert.deepEqual(
      files.filter((file) => file.startsWith("native/tensorrt_backend")),
      ["cc", "h"].map((kind) => `native/tensorrt_backend/src/model_scheduling.${kind}`),
    );
  });

  it("is described by an ignore file of plain paths that exist", () => {
    const [first, ...rest] = fs
      .readFileSync(path.join(ROOT, IGNORE_FILE), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    assert.equal(first, "**");
    for (const line of rest) {
      assert.match(line, /^![\w./-]+$/);
      assert.ok(fs.existsSync(path.join(ROOT, line.slice(1))), line);
    }
  });

  for (const variant of [ImageVariant.Patched, ImageVariant.Hooked]) {
    it(`of the variant ${variant} changes with each file of it`, () => {
      const before = revision(variant);
      for (const file of staged(variant)) {
        const text = fs.readFileSync(project(file));
        fs.appendFileSync(project(file), "\n");
        assert.notEqual(revision(variant), before, file);
        fs.writeFileSync(project(file), text);
      }
      assert.equal(revision(variant), before);
    });
  }

  it("changes when a file is added, removed or renamed", () => {
    const before = revision();
    fs.writeFileSync(project("native/xsched/src/new.h"), "");
    assert.notEqual(revision(), before);
    assert.ok(staged("patched").includes("native/xsched/src/new.h"));
    fs.rmSync(project("native/xsched/src/new.h"));
    assert.equal(revision(), before);
    assert.ok(!staged("patched").includes("native/xsched/src/new.h"));
    fs.renameSync(project("native/xsched/src/cuda/api.cc"), project("native/xsched/src/cuda/api2.cc"));
    assert.notEqual(revision(), before);
  });

  it("does not change with other files", () => {
    const before = revision();
    const transparent = revision("transparent");
    for (const file of ["native/xsched/README.md", "native/xsched/tests/main.cc", IGNORE_FILE]) {
      fs.appendFileSync(project(file), "# changed\n");
    }
    fs.writeFileSync(project("images/triton/notes.txt"), "");
    fs.utimesSync(project("native/xsched/Makefile"), 0, 0);
    assert.equal(revision(), before);
    fs.appendFileSync(project("native/tensorrt_backend/src/stream_xqueue.h"), "\n");
    assert.notEqual(revision(), before);
    assert.equal(revision("transparent"), transparent);
  });

  it("of the patched image does not change with the hooks, nor theirs with the patch", () => {
    const before = [revision("patched"), revision("hooked"), revision("transparent")];
    fs.appendFileSync(project("native/triton_hooks/src/hooks.cc"), "\n");
    const hooked = revision("hooked");
    assert.notEqual(hooked, before[1]);
    assert.deepEqual([revision("patched"), revision("transparent")], [before[0], before[2]]);
    fs.appendFileSync(project("native/tensorrt_backend/src/instance_xqueues.cc"), "\n");
    assert.notEqual(revision("patched"), before[0]);
    assert.equal(revision("hooked"), hooked);
  });

  it("has fixed permissions whatever the checkout's, and stays unchanged when nothing changes", () => {
    const { location } = stage("transparent");
    const file = path.join(program, location, "images/triton/entrypoint.sh");
    const { mtimeMs, ino } = fs.statSync(file);
    for (const mode of [0o600, 0o775, 0o666]) {
      fs.chmodSync(project("images/triton/entrypoint.sh"), mode);
      fs.chmodSync(file, mode);
      stage("transparent");
      assert.equal(fs.statSync(file).mode & 0o777, 0o644);
    }
    assert.deepEqual([fs.statSync(file).mtimeMs, fs.statSync(file).ino], [mtimeMs, ino]);
  });

  it("is where git does not see it", () => {
    const { location, dockerfile } = stage("patched");
    assert.equal(dockerfile, `${location}/images/triton/Dockerfile`);
    assert.equal(fs.readFileSync(path.join(program, path.dirname(location), ".gitignore"), "utf8"), "*\n");
  });

  it("reports what cannot be written", () => {
    fs.writeFileSync(program, "");
    assert.throws(() => stage("patched"), { message: /^cannot stage the sources of the image: E/ });
  });
});
