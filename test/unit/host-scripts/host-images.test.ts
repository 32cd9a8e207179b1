import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const SCRIPTS = ["host", "server"].map((concern) =>
  path.resolve(__dirname, "../../../components", concern, "scripts"),
);

/** A Docker whose images are files, some of them used by somebody else. It keeps the configuration of a pull. */
const DOCKER = `#!/bin/bash
file=$IMAGES/$(printf '%s' "\${@: -1}" | tr / _)
case "$1 $2" in
  'image inspect') [ -e "$file" ] ;;
  'image rm') [ ! -e "$file.used" ] && rm "$file" ;;
  'pull '*)
    cp "\${DOCKER_CONFIG:-/nowhere}/config.json" "$IMAGES/config" 2>/dev/null
    touch "$file"
    ;;
  'context inspect') echo unix:///chosen.sock ;;
esac
`;

const image = (name: string): string => `registry.example:5000/triton@sha256:${name}`;

describe("the images of a host", () => {
  let folder: string;
  let directory: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-images-"));
    directory = path.join(folder, "host");
    for (const part of ["programs", "bin", "images", "host"]) fs.mkdirSync(path.join(folder, part));
    for (const scripts of SCRIPTS) fs.cpSync(scripts, path.join(folder, "bin"), { recursive: true });
    fs.writeFileSync(path.join(folder, "programs/docker"), DOCKER, { mode: 0o755 });
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const bash = (words: readonly string[], input = ""): { status: number | null; stderr: string } =>
    spawnSync("bash", words, {
      encoding: "utf8",
      input,
      env: {
        PATH: `${path.join(folder, "programs")}:${process.env.PATH ?? ""}`,
        IMAGES: path.join(folder, "images"),
        TMPDIR: path.join(folder, "images"),
      },
    });

  const run = (script: string, words: readonly string[] = [], input?: string): void => {
    const { status, stderr } = bash([path.join(folder, "bin", script), directory, ...words], input);
    assert.equal(status, 0, stderr);
  };

  const pull = (name: string): void => {
    run("pull-image.sh", [image(name)]);
  };

  /** As start-server.sh does once a server runs from the image. */
  const use = (name: string): void => {
    const script = `. "$1/host-directory.sh"; . "$1/host-images.sh"; use_host_directory "$2"; keep_image "$3"`;
    const { status, stderr } = bash(["-c", script, "-", path.join(folder, "bin"), directory, image(name)]);
    assert.equal(status, 0, stderr);
  };

  const present = (): string[] =>
    fs
      .readdirSync(path.join(folder, "images"))
      .flatMap((file) => /sha256:(\w+)$/.exec(file)?.[1] ?? [])
      .sort();

  const occupy = (name: string): void => {
    fs.writeFileSync(path.join(folder, "images", `${image(name).replaceAll("/", "_")}.used`), "");
  };

  it("keeps the one in use and the one before it", () => {
    for (const name of ["a", "b", "c", "d"]) {
      pull(name);
      use(name);
    }
    assert.deepEqual(present(), ["c", "d"]);
    use("c");
    pull("e");
    use("e");
    assert.deepEqual(present(), ["c", "e"]);
  });

  it("removes one that was never used before one that was", () => {
    for (const name of ["a", "b"]) {
      pull(name);
      use(name);
    }
    pull("bad");
    pull("c");
    use("c");
    assert.deepEqual(present(), ["b", "c"]);
  });

  it("leaves alone what existed before, and what somebody else uses", () => {
    fs.writeFileSync(path.join(folder, "images", image("theirs").replaceAll("/", "_")), "");
    pull("theirs");
    use("theirs");
    for (const name of ["a", "b", "c"]) {
      pull(name);
      if (name === "a") occupy(name);
      use(name);
    }
    assert.deepEqual(present(), ["a", "b", "c", "theirs"]);
    fs.rmSync(path.join(folder, "images", `${image("a").replaceAll("/", "_")}.used`));
    use("c");
    assert.deepEqual(present(), ["b", "c", "theirs"]);
    run("remove-images.sh");
    assert.deepEqual(present(), ["theirs"]);
    assert.ok(!fs.existsSync(path.join(directory, "images")));
    run("remove-images.sh");
  });

  it("logs in only for the pull, at the engine that the user has chosen", () => {
    run("pull-image.sh", [image("a"), 'deploy"er'], "pass:word");
    const { auths } = JSON.parse(fs.readFileSync(path.join(folder, "images/config"), "utf8")) as {
      auths: Record<string, { auth: string }>;
    };
    assert.deepEqual(Object.keys(auths), ["registry.example:5000"]);
    assert.equal(
      Buffer.from(auths["registry.example:5000"]?.auth ?? "", "base64").toString(),
      'deploy"er:pass:word',
    );
    assert.deepEqual(
      fs.readdirSync(path.join(folder, "images")).filter((name) => name.startsWith("tmp.")),
      [],
    );
  });

  it("knows Docker Hub by its own name for itself", () => {
    for (const [name, registry] of [
      ["triton", "https://index.docker.io/v1/"],
      ["team/triton", "https://index.docker.io/v1/"],
      ["docker.io/team/triton", "https://index.docker.io/v1/"],
      ["localhost/triton", "localhost"],
      ["example.com/a/b", "example.com"],
    ] as const) {
      const script = `. "$1/host-directory.sh"; . "$1/docker-login.sh"; [ "$(registry_of "$2")" = "$3" ]`;
      assert.equal(bash(["-c", script, "-", path.join(folder, "bin"), name, registry]).status, 0, name);
    }
  });

  it("reports what is wrong with its arguments", () => {
    const refused = (words: readonly string[]): string =>
      bash([path.join(folder, "bin/pull-image.sh"), directory, ...words]).stderr;
    assert.match(refused(["triton:latest"]), /^error: the image 'triton:latest' has no digest\n/m);
    assert.match(refused([image("a"), "deployer"]), /^error: no password was given for deployer\n/m);
  });
});
