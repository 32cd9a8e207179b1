import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { type Document } from "yaml";

import { changesIn, Workspace } from "./workspace";

const model = (index: number, key: string): (string | number)[] => [
  "config",
  "xsched-triton:models",
  index,
  key,
];

/** A mistake in the local stack's config, and the lines that tell the user of it. */
const MISTAKES: readonly { what: string; make: (config: Document) => void; told: string }[] = [
  {
    what: "an unknown key at the top",
    make: (config) => {
      config.setIn(["config", "xsched-triton:modles"], []);
    },
    told: `modles: (unknown key)
allowed: the keys host, runtime, server, scheduler, models, monitoring
fix: did you mean models?`,
  },
  {
    what: "an unknown key of a model",
    make: (config) => {
      config.setIn(model(1, "prority"), 3);
    },
    told: `models[1].prority: (unknown key)
allowed: the keys name, source, upload, priority, engine, versionPolicy, instanceGroups, dynamicBatching, warmup, parameters
fix: did you mean priority?`,
  },
  {
    what: "a priority out of range",
    make: (config) => {
      config.setIn(model(0, "priority"), 256);
    },
    told: `models[0].priority: 256
allowed: an integer from -255 to 255, or one of max (255), default (0), min (-255)
fix: give 255 (max), the most urgent, or less`,
  },
  {
    what: "a priority that is no integer",
    make: (config) => {
      config.setIn(model(0, "priority"), 1.5);
    },
    told: `models[0].priority: 1.5
allowed: an integer from -255 to 255, or one of max (255), default (0), min (-255)
fix: round it: 2`,
  },
  {
    what: "a name that two models have",
    make: (config) => {
      config.setIn(model(1, "name"), "realtime");
    },
    told: `models[1].name: "realtime"
allowed: a name that no other has; models[0] has this one
fix: rename one of the two`,
  },
  {
    what: "a name that Triton cannot have",
    make: (config) => {
      config.setIn(model(1, "name"), "real/time");
    },
    told: `models[1].name: "real/time"
allowed: 1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)
fix: rename it, for example real-time`,
  },
  {
    what: "a source that is not there",
    make: (config) => {
      config.setIn(model(2, "source"), "examples/models/bach");
    },
    told: `models[2].source: "examples/models/bach"
allowed: a folder that exists
fix: create PROJECT/examples/models/bach, or correct the path (relative to PROJECT)`,
  },
  {
    what: "two ports that are one",
    make: (config) => {
      config.setIn(["config", "xsched-triton:server", "grpcPort"], 8000);
    },
    told: `server.grpcPort: 8000
allowed: a port that server.httpPort does not use
fix: choose another, for example 8001`,
  },
  {
    what: "an SSH host without what it needs",
    make: (config) => {
      config.setIn(["config", "xsched-triton:host"], { kind: "ssh", address: "gpu.example" });
    },
    told: `host.hostKey: (not set)
allowed: the machine's public key as one line: ssh-ed25519 AAAA…
fix: add hostKey: ssh-ed25519 AAAA…`,
  },
  {
    what: "an image without tag and digest",
    make: (config) => {
      config.setIn(["config", "xsched-triton:runtime"], { kind: "container", image: "example.com/triton" });
    },
    told: `runtime.image: "example.com/triton"
allowed: an image by digest or tag: repository@sha256:<64 hexadecimal digits>, or repository:tag
fix: name a tag after a colon, or better the digest after an @`,
  },
  {
    what: "a repository without its registry",
    make: (config) => {
      config.setIn(["config", "xsched-triton:runtime"], {
        kind: "container",
        build: { repository: "triton" },
      });
    },
    told: `runtime.build.repository: "triton"
allowed: a repository with its registry's address and without a tag
fix: begin with the registry's address, for example docker.io/triton`,
  },
  {
    what: "scheduling that the process runtime cannot give",
    make: (config) => {
      config.setIn(["config", "xsched-triton:scheduler"], { required: true });
    },
    told: `scheduler.required: true
allowed: false with runtime process, which runs on the CPU only and cannot be scheduled
fix: take it out, or set runtime.kind to container`,
  },
];

describe("a mistake in the stack config, on the real engine", () => {
  let workspace: Workspace;
  let good: string;

  const file = (): string => workspace.file("Pulumi.local.yaml");

  const up = async (): Promise<string> => {
    const { code, output } = await workspace.npm("up");
    assert.notEqual(code, 0, output);
    assert.deepEqual(changesIn(output), []);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts")), "nothing is made on the host");
    assert.doesNotMatch(output, /\n\s+at .*\.[jt]s:\d+/, "no stack trace");
    return output.replace(/^ +/gm, "");
  };

  before(async () => {
    workspace = await Workspace.create();
    good = fs.readFileSync(file(), "utf8");
  });

  after(() => {
    workspace.remove();
  });

  for (const { what, make, told } of MISTAKES) {
    it(`tells of ${what}, and creates nothing`, async () => {
      fs.writeFileSync(file(), good);
      workspace.edit("local", make);
      const output = await up();
      assert.ok(output.includes(told.replaceAll("PROJECT", fs.realpathSync(workspace.directory))), output);
    });
  }

  it("tells of all mistakes together", async () => {
    fs.writeFileSync(file(), good);
    const together = MISTAKES.filter(({ what }) => /unknown|range|two ports/.test(what));
    for (const { make } of together) workspace.edit("local", make);
    const output = await up();
    for (const { told } of together) assert.ok(output.includes(told), output);
  });

  it("tells where a model's own config.pbtxt is malformed", async () => {
    fs.writeFileSync(file(), good);
    fs.appendFileSync(workspace.file("examples/models/batch/config.pbtxt"), "max_batch_size 3\n");
    assert.match(await up(), /batch\/config\.pbtxt:\d+:\d+: /);
  });
});
