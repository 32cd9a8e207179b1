import * as assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { renderModelConfig } from "../../components/models/config";
import { type ReloadResults } from "../../scripts/prove/reloads";
import { type ShareResults } from "../../scripts/prove/shares";
import { contest } from "./contest";
import { until } from "../until";
import { freePorts } from "./ports";
import { linkTriton } from "./ready";
import { TritonClient, underLoad } from "./triton";
import { execute, type Finished, requireSuccess } from "./workspace";

const NATIVE = path.resolve(__dirname, "../../native");

interface Model {
  readonly backend: string;
  readonly priority?: number | string;
  readonly weight?: number | string;
  readonly kernels?: number;
  readonly microseconds?: number;
  readonly instances?: number;
  readonly fail?: boolean;
}

/** What `npm run prove` writes, as far as it is looked at here. */
interface ProofResults {
  readonly cases: readonly {
    readonly servers: readonly {
      readonly kind: string;
      readonly queues: readonly string[];
      readonly summary: {
        readonly arms: readonly {
          readonly arm: string;
          readonly samples: number;
          readonly latencyMs: { readonly p50: { readonly value: number } };
        }[];
      };
    }[];
    readonly reloads: Readonly<Record<string, ReloadResults>>;
    readonly shares: ShareResults;
  }[];
}

interface Queue {
  readonly name: string;
  readonly priority: number;
  readonly launches: number;
}

/** Microseconds of work that takes long. */
const LONG_US = 400_000;

/** So much work. */
const LONG = { kernels: 200, microseconds: 2000 };

/** The same in kernels that are much shorter than a turn. */
const FINE = { kernels: 2000, microseconds: 200 };

const MODELS: Readonly<Record<string, Model>> = {
  chat: { backend: "one_stream", priority: 200, kernels: 10, microseconds: 100 },
  // In the default stream, as PyTorch's.
  batch: { backend: "default_stream", priority: -100, kernels: 40, microseconds: 1000 },
  // Streams of its threads, and their default streams.
  pool: { backend: "threads", priority: "max", instances: 2 },
  // Its backend is in its own folder.
  own: { backend: "own", priority: 7 },
  python: { backend: "python", priority: 3 },
  python_high: { backend: "python", priority: 60 },
  python_low: { backend: "python", priority: -60 },
  python_heavy: { backend: "python", priority: 80, weight: 3 },
  python_light: { backend: "python", priority: 80, weight: 1 },
  broken: { backend: "one_stream", priority: 9, fail: true },
  wrong: { backend: "one_stream", priority: "urgent" },
  wrong_weight: { backend: "one_stream", priority: 0, weight: "3:1" },
  // Of one priority.
  heavy: { backend: "one_stream", priority: -7, weight: 3, ...FINE },
  light: { backend: "default_stream", priority: -7, weight: 1, ...FINE },
  // Equal work, where and with which priority the names say.
  stream_high: { backend: "one_stream", priority: 50, ...LONG },
  stream_low: { backend: "one_stream", priority: -50, ...LONG },
  default_high: { backend: "default_stream", priority: 50, ...LONG },
  default_low: { backend: "default_stream", priority: -50, ...LONG },
};

const tensor = (name: string): string => `{ name: "${name}" data_type: TYPE_INT32 dims: [ 1 ] }`;

function configOf(model: Model): string {
  const { backend, priority, weight, kernels = 3, microseconds = 10, instances = 1, fail = false } = model;
  const parameters = {
    kernels,
    microseconds,
    xsched_priority: priority,
    xsched_weight: weight,
    fail: fail ? "yes" : undefined,
  };
  return [
    `backend: "${backend}"`,
    `input [ ${tensor("INPUT")} ]`,
    `output [ ${tensor("OUTPUT")} ]`,
    `instance_group [ { kind: KIND_CPU count: ${instances} } ]`,
    ...Object.entries(parameters)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `parameters { key: "${key}" value { string_value: "${value}" } }`),
  ].join("\n");
}

const step = (model: string, input: string, output: string): string =>
  `step { model_name: "${model}" model_version: -1
    input_map { key: "INPUT" value: "${input}" } output_map { key: "OUTPUT" value: "${output}" } }`;

const ENSEMBLE = `
platform: "ensemble"
input [ ${tensor("INPUT")} ]
output [ ${tensor("OUTPUT")} ]
ensemble_scheduling { ${step("chat", "INPUT", "between")} ${step("own", "between", "OUTPUT")} }
`;

/** Of the Python backend, which runs it in a process of its own. */
const PYTHON = `
import numpy, triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        answer = triton.Tensor("OUTPUT", numpy.array([42], numpy.int32))
        return [triton.InferenceResponse(output_tensors=[answer]) for _ in requests]
`;

/** The same with 0.4 s of work on the simulated driver, by a process that the model starts. Answers with how long it took. */
const pythonOnGpu = ({ kernels, microseconds }: typeof LONG): string => `
import ctypes, multiprocessing, numpy, time, triton_python_backend_utils as triton

def work(pipe):
    # As CUDA's runtime finds it.
    driver = ctypes.CDLL("libcuda.so.1")
    def call(name, *arguments):
        result = getattr(driver, name)(*arguments)
        assert result == 0, (name, result)
    call("cuInit", 0)
    call("cuCtxCreate_v2", ctypes.byref(ctypes.c_void_p()), 0, 0)
    stream, none = ctypes.c_void_p(), ctypes.c_void_p()
    call("cuStreamCreate", ctypes.byref(stream), 1)
    while True:
        pipe.recv()
        began = time.monotonic()
        for _ in range(${kernels}):
            kernel = ctypes.c_void_p(1 << 32 | ${microseconds})
            call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, stream, none, none)
        call("cuStreamSynchronize", stream)
        pipe.send(int(1e6 * (time.monotonic() - began)))

class TritonPythonModel:
    def initialize(self, arguments):
        # As vLLM: the process that works is not the one that Triton has started.
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.worker = context.Process(target=work, args=(other,), daemon=True)
        self.worker.start()

    def execute(self, requests):
        self.pipe.send("work")
        answer = triton.Tensor("OUTPUT", numpy.array([self.pipe.recv()], numpy.int32))
        return [triton.InferenceResponse(output_tensors=[answer]) for _ in requests]

    def finalize(self):
        self.worker.kill()
        self.worker.join()
`;

/** The program of the Triton that is installed in a folder. */
function tritonIn(folder: string): string {
  const runtime = path.join(folder, "host/runtime");
  const triton = fs.readdirSync(runtime).find((name) => name.startsWith("triton-")) ?? "";
  return path.join(runtime, triton, "tritonserver/bin/tritonserver");
}

/** A Triton whose driver is simulated, with the hooks or without. */
class Server {
  public readonly http: TritonClient;
  private readonly process: ChildProcess;
  private readonly ended: Promise<number | null>;
  private readonly control: string;
  private log = "";

  public constructor(
    folder: string,
    private readonly xsched: string,
    driver: string,
    ports: readonly number[],
    hooked: boolean,
    scheduler: "LCL" | "GLB" = "LCL",
  ) {
    const program = tritonIn(folder);
    const triton = path.resolve(program, "../../..");
    const [http, grpc, metrics] = ports;
    this.control = path.join(folder, `control-${http}`);
    this.process = spawn(
      program,
      [
        `--model-repository=${path.join(folder, "models")}`,
        `--backend-directory=${path.join(folder, "backends")}`,
        ...["--model-control-mode=explicit", "--exit-timeout-secs=120"],
        ...[`--http-port=${http}`, `--grpc-port=${grpc}`, `--metrics-port=${metrics}`],
        ...["--http-address=127.0.0.1", "--grpc-address=127.0.0.1"],
      ],
      {
        env: {
          ...process.env,
          PATH: `${path.join(triton, "python/bin")}:${process.env.PATH}`,
          ...(hooked ? { LD_PRELOAD: path.join(xsched, "lib/libxsched_triton_hooks.so") } : {}),
          LD_LIBRARY_PATH: path.join(xsched, "lib"),
          SIMULATED_VERSION: "10000", // Triton itself leaves the driver alone.
          XSCHED_CONTROL_DIR: this.control,
          XSCHED_CUDA_LIB: driver,
          XSCHED_DOMAIN_DIR: path.join(folder, "domain"),
          XSCHED_REQUIRED: "ON",
          XSCHED_SCHEDULER: scheduler,
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (text: Buffer) => (this.log += text.toString()));
    }
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
    this.http = new TritonClient(http!, true, 60);
  }

  public get said(): string {
    return this.log;
  }

  public async start(...models: readonly string[]): Promise<void> {
    await until("the server is live", async () => {
      assert.equal(this.process.exitCode, null, this.log);
      try {
        return (await this.http.request("GET", "/v2/health/live")).status === 200;
      } catch {
        return false;
      }
    });
    for (const model of models) assert.equal((await this.load(model)).status, 200, this.log);
  }

  public async load(model: string): Promise<{ status: number; body: string }> {
    return this.http.request("POST", `/v2/repository/models/${model}/load`);
  }

  public async unload(model: string): Promise<void> {
    const { status, body } = await this.http.request("POST", `/v2/repository/models/${model}/unload`);
    assert.equal(status, 200, body);
    await until(`${model} is unloaded`, async () => !(await this.http.isReady(model)));
  }

  /** Waits until nothing of an unloaded model is left, which takes longer than until it is no longer ready. */
  public async gone(model: string): Promise<void> {
    await until(`nothing of ${model} is left`, async () => {
      const { body } = await this.http.request("POST", "/v2/repository/index");
      const models = JSON.parse(body) as { name: string; reason?: string }[];
      return models.find(({ name }) => name === model)?.reason === "unloaded";
    });
  }

  /** How many microseconds the model's work took. */
  public async infer(model: string): Promise<number> {
    const { status, body } = await this.http.infer(model, await this.http.exampleRequest(model));
    assert.equal(status, 200, body);
    const { outputs } = JSON.parse(body) as { outputs: { data: number[] }[] };
    return outputs[0]!.data[0]!;
  }

  public async ctl(...words: readonly string[]): Promise<string> {
    const program = path.join(this.xsched, "bin/xsched-ctl");
    const { code, output } = await execute(
      "env",
      [`XSCHED_CONTROL_DIR=${this.control}`, program, ...words],
      "/",
    );
    requireSuccess({ code, output });
    return output;
  }

  /** The queues, as "name priority", sorted. */
  public async queues(): Promise<string[]> {
    return (await this.stats()).map(({ name, priority }) => `${name} ${priority}`).sort();
  }

  /** How often something was launched into each queue. */
  public async launches(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.stats()).map(({ name, launches }) => [name, launches]));
  }

  private async stats(): Promise<readonly Queue[]> {
    return (JSON.parse(await this.ctl("stats", "--json")) as { queues: Queue[] }).queues;
  }

  /** The queues of each other process that Triton has started, or that such a one has, as "name priority". */
  public async queuesOfModels(): Promise<string[]> {
    const queues: string[] = [];
    for (const socket of fs.readdirSync(this.control).filter((name) => name.endsWith(".sock"))) {
      const pid = path.basename(socket, ".sock");
      if (pid === String(this.process.pid)) continue;
      const found = JSON.parse(await this.ctl("--pid", pid, "stats", "--json")) as { queues: Queue[] };
      queues.push(...found.queues.map(({ name, priority }) => `${name} ${priority}`));
    }
    return queues.sort();
  }

  /** Of the process, from its status in /proc. */
  public figure(name: string): number {
    const status = fs.readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1]);
  }

  public async stop(): Promise<number | null> {
    this.http.close();
    this.process.kill("SIGTERM");
    // One that has crashed can hang while it writes down where.
    const late = setTimeout(() => this.process.kill("SIGKILL"), 180_000);
    try {
      return await this.ended;
    } finally {
      clearTimeout(late);
    }
  }
}

/** Two models that have much to do at the same time. */
interface Contest {
  /** How long the second took, in times of the first. */
  readonly ratio: number;
  /** The share of its launches that each made while the other was at work. */
  readonly first: number;
  readonly second: number;
}

/** Lets the second begin while the first is at work. */
async function compete(server: Server, first: string, second: string): Promise<Contest> {
  const before = await server.launches();
  const seen: { first: number; second: number }[] = [];
  const look = async (): Promise<void> => {
    const after = await server.launches();
    const made = (model: string): number => {
      const queue = `${model}/${model}_0_0`;
      return ((after.get(queue) ?? 0) - (before.get(queue) ?? 0)) / LONG.kernels;
    };
    seen.push({ first: made(first), second: made(second) });
  };
  const work = [server.infer(first)];
  // Without the hooks there is nothing to see.
  if (before.size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  else await until(`${first} has launched`, async () => (await look(), seen.at(-1)!.first > 0));
  work.push(server.infer(second));
  const answers = Promise.all(work);
  let took: number[] | undefined;
  while ((took = await Promise.race([answers, Promise.resolve(undefined)])) === undefined) await look();
  const whileSecond = seen.filter(({ second: made }) => made > 0 && made < 1);
  return {
    ratio: took[1]! / took[0]!,
    first: (whileSecond.at(-1)?.first ?? 0) - (whileSecond[0]?.first ?? 0),
    second: seen.filter(({ first: made }) => made < 1).at(-1)?.second ?? 0,
  };
}

const EXPECTED = [
  "batch/batch_0_0 -100",
  "chat/chat_0_0 200",
  "own/own_0_0 7",
  ...["pool/pool_0_0 255", "pool/pool_0_0 255", "pool/pool_0_0 255"],
  ...["pool/pool_0_1 255", "pool/pool_0_1 255", "pool/pool_0_1 255"],
];

describe("a real Triton with the hooks, on a simulated driver", () => {
  let folder: string;
  let server: Server;
  const options = { xsched: "", driver: "" };

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-hooks-"));
    options.xsched = path.join(folder, "xsched");
    const { code, output } = await execute("bash", [path.join(NATIVE, "package.sh"), options.xsched], folder);
    requireSuccess({ code, output });
    options.driver = output.trim();
    const backends = path.join(folder, "backends");
    requireSuccess(
      await execute("bash", [path.join(NATIVE, "triton_hooks/tests/backends.sh"), backends], folder),
    );
    await linkTriton(path.join(folder, "host"));
    const repository = {
      ...Object.fromEntries(Object.entries(MODELS).map(([k, v]) => [k, configOf(v)])),
      both: ENSEMBLE,
    };
    for (const [name, config] of Object.entries(repository)) {
      fs.mkdirSync(path.join(folder, "models", name, "1"), { recursive: true });
      fs.writeFileSync(path.join(folder, "models", name, "config.pbtxt"), `name: "${name}"\n${config}\n`);
    }
    fs.writeFileSync(path.join(folder, "models/python/1/model.py"), PYTHON);
    for (const [work, ...names] of [
      [LONG, "python_high", "python_low"],
      [FINE, "python_heavy", "python_light"],
    ] as const) {
      for (const name of names) {
        fs.writeFileSync(path.join(folder, `models/${name}/1/model.py`), pythonOnGpu(work));
      }
    }
    const runtime = path.join(folder, "host/runtime");
    fs.symlinkSync(
      path.join(runtime, fs.readdirSync(runtime)[0]!, "tritonserver/backends/python"),
      path.join(backends, "python"),
    );
    fs.copyFileSync(
      path.join(backends, "one_stream/libtriton_one_stream.so"),
      path.join(folder, "models/own/libtriton_own.so"),
    );
    // Triton knows TensorRT's backend by its name; this one takes its place.
    fs.mkdirSync(path.join(backends, "tensorrt"));
    fs.copyFileSync(
      path.join(backends, "one_stream/libtriton_one_stream.so"),
      path.join(backends, "tensorrt/libtriton_tensorrt.so"),
    );
    for (const backend of ["one_stream", "tensorrt"]) {
      fs.mkdirSync(path.join(folder, `models/resized_${backend}/1`), { recursive: true });
    }
    server = new Server(folder, options.xsched, options.driver, await freePorts(3), true);
    await server.start("chat", "batch", "pool", "own", "both");
  });

  after(async () => {
    assert.equal(await server.stop(), 0, server.said);
    fs.rmSync(folder, { recursive: true });
  });

  it("gives every stream of every backend, the default ones too, its model's name and priority", async () => {
    // What is executed first decides which of the instances it is.
    const work = ["batch", "chat", "own", ...Array<string>(10).fill("pool")];
    await until("every instance has launched", async () => {
      await Promise.all(work.map((model) => server.infer(model)));
      return (await server.queues()).length === EXPECTED.length;
    });
    assert.deepEqual(await server.queues(), EXPECTED);
    assert.match(await server.ctl("status"), /^scheduled +yes$/m);
    for (const backend of ["one_stream", "default_stream", "threads", "own"]) {
      assert.match(
        server.said,
        new RegExp(`XSched's hooks are in front of the backend .*/libtriton_${backend}.so`),
      );
    }
    assert.match(
      server.said,
      /XSched schedules the work of instance chat_0_0 in this process as 'chat\/chat_0_0', with priority 200/,
    );
  });

  describe("decides whose turn it is, also in the default stream", () => {
    const models = ["stream_high", "stream_low", "default_high", "default_low"];

    let queues: readonly string[];

    before(async () => {
      queues = await server.queues();
      for (const model of models) {
        assert.equal((await server.load(model)).status, 200, server.said);
        await server.infer(model);
      }
    });

    after(async () => {
      for (const model of models) await server.unload(model);
      await until("their queues are gone", async () => (await server.queues()).length === queues.length);
    });

    for (const [low, high] of [
      ["default_low", "stream_high"],
      ["stream_low", "default_high"],
      ["default_low", "default_high"],
    ] as const) {
      it(`${high} preempts ${low}`, async () => {
        await contest(async () => {
          const { ratio, first, second } = await compete(server, low, high);
          const figures = JSON.stringify({ ratio, first, second });
          assert.ok(ratio < 0.75, figures);
          assert.ok(first < 0.25, figures);
          assert.ok(second > 0.75, figures);
        });
      });

      it(`${low} is held while ${high} works`, async () => {
        await contest(async () => {
          const { ratio, second } = await compete(server, high, low);
          const figures = JSON.stringify({ ratio, second });
          assert.ok(ratio > 1.3, figures);
          assert.ok(second < 0.25, figures);
        });
      });

      it(`${low} and ${high} share when their priorities are equal`, async () => {
        await server.ctl("priority", high, "-50");
        try {
          await contest(async () => {
            const { ratio, first, second } = await compete(server, low, high);
            const figures = JSON.stringify({ ratio, first, second });
            assert.ok(ratio > 0.75 && ratio < 1.3, figures);
            assert.ok(first > 0.25 && second > 0.25, figures);
          });
        } finally {
          await server.ctl("priority", high, "50");
        }
      });
    }
  });

  it("runs an ensemble across backends, each step as its own model", async () => {
    const before = await server.launches();
    await server.infer("both");
    const after = await server.launches();
    const made = (queue: string): number => after.get(queue)! - before.get(queue)!;
    assert.equal(made("chat/chat_0_0"), 10);
    assert.equal(made("own/own_0_0"), 3);
  });

  it("changes priorities at once, also of queues that a model does not have yet", async () => {
    await server.ctl("priority", "pool", "-3");
    await server.ctl("priority", "batch/batch_0_0", "11");
    assert.deepEqual(
      await server.queues(),
      EXPECTED.map((queue) => queue.replace(/^(pool.*) 255/, "$1 -3").replace(/^(batch.*) -100/, "$1 11")),
    );
    await server.ctl("priority", "pool", "max");
    await server.ctl("priority", "batch", "-100");
    // Nothing has been executed since this load.
    const reload = async (): Promise<void> => {
      await server.unload("batch");
      assert.equal((await server.load("batch")).status, 200);
    };
    await reload();
    assert.ok(!(await server.queues()).some((queue) => queue.startsWith("batch/")));
    await server.ctl("priority", "batch", "12");
    await server.infer("batch");
    assert.ok((await server.queues()).includes("batch/batch_0_0 12"));
    await reload();
    await server.infer("batch");
    assert.deepEqual(await server.queues(), EXPECTED);
  });

  it("shares the device among models of one priority by their weights", async () => {
    const models = ["heavy", "light"] as const;
    for (const model of models) assert.equal((await server.load(model)).status, 200, server.said);
    assert.match(server.said, /as 'heavy\/heavy_0_0', with priority -7 and weight 3/);
    await Promise.all(models.map((model) => server.infer(model)));
    const made = async (): Promise<readonly number[]> => {
      const launches = await server.launches();
      return models.map((model) => launches.get(`${model}/${model}_0_0`)!);
    };
    await contest(async () => {
      const before = await made();
      const work = models.map((model) => server.infer(model));
      const firstEnd = Promise.race(work);
      // What each has made while the other was at work.
      let both: readonly number[] = [];
      while ((await Promise.race([firstEnd, Promise.resolve(undefined)])) === undefined) {
        const now = (await made()).map((count, index) => count - before[index]!);
        if (now.every((count) => count < FINE.kernels)) both = now;
      }
      await Promise.all(work);
      const [heavy = 0, light = 0] = both;
      assert.ok(heavy / light > 1.8 && heavy / light < 5, JSON.stringify({ heavy, light }));
    });
    for (const model of models) {
      await server.unload(model);
      await server.gone(model);
    }
    assert.deepEqual(await server.queues(), EXPECTED);
  });

  it("loads a whole model of TensorRT, not only its instances, when their number changes", async () => {
    // In a server of its own, and however that ends: what Triton does to instances in place may damage its heap.
    const other = new Server(folder, options.xsched, options.driver, await freePorts(3), true);
    try {
      await other.start("chat");
      const config = (model: string): string => path.join(folder, "models", model, "config.pbtxt");
      /** How many instances of a model Triton has made. */
      const made = (model: string): number =>
        other.said.split(`XSched schedules the work of instance ${model}_`).length - 1;
      const instancesMade: number[][] = [];
      for (const backend of ["one_stream", "tensorrt"]) {
        const model = `resized_${backend}`;
        const counts: number[] = [];
        for (const instances of [2, 1]) {
          const own = configOf({ backend, priority: 1, instances });
          fs.writeFileSync(
            config(model),
            renderModelConfig(own, { name: model, source: folder, priority: 1 }),
          );
          assert.equal((await other.load(model)).status, 200, other.said);
          await other.infer(model);
          counts.push(made(model));
        }
        instancesMade.push(counts);
        await other.unload(model);
        await other.gone(model);
      }
      // In place, Triton keeps one of the two instances; in a whole new model, the one is new.
      assert.deepEqual(instancesMade, [
        [2, 2],
        [2, 3],
      ]);
    } finally {
      await other.stop();
    }
  });

  it("serves models of the Python backend, whose processes inherit its environment", async () => {
    // In a server of its own, and however that ends: Triton may damage its heap when such a model is unloaded
    // (native/triton_hooks/README.md).
    const other = new Server(folder, options.xsched, options.driver, await freePorts(3), true);
    try {
      await other.start("chat", "python");
      assert.equal(await other.infer("python"), 42);
      await other.unload("python");
      await other.gone("python");
      assert.deepEqual(await other.queues(), ["chat/chat_0_0 200"]);
    } finally {
      await other.stop();
    }
  });

  it("leaves nothing of a model that fails to load", async () => {
    const broken = await server.load("broken");
    assert.equal(broken.status, 400);
    assert.match(broken.body, /failed as it was told/);
    const wrong = await server.load("wrong");
    assert.equal(wrong.status, 400);
    assert.match(
      wrong.body,
      /model parameter 'xsched_priority' is 'urgent', but must be an integer from -255 to 255/,
    );
    const wrongWeight = await server.load("wrong_weight");
    assert.equal(wrongWeight.status, 400);
    assert.match(
      wrongWeight.body,
      /model parameter 'xsched_weight' is '3:1', but must be an integer from 0 \(none\) to 100/,
    );
    assert.deepEqual(await server.queues(), EXPECTED);
  });

  /** Reloads models 200 times while another one answers, and looks at what is left of them. */
  const reloadOften = async (server: Server): Promise<void> => {
    const reload = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        for (const model of ["own", "pool", "batch"]) {
          await server.unload(model);
          const { status, body } = await server.load(model);
          assert.equal(status, 200, body);
          if (model !== "batch" || i % 10 === 0) await server.infer(model);
        }
      }
    };
    const { reports } = await underLoad(server.http, ["chat"], 50, async () => {
      await reload(20);
      const threads = server.figure("Threads");
      const memory = server.figure("VmRSS");
      await reload(180);
      // The threads of instances that have just gone may still be ending.
      await until("their threads are gone", () => server.figure("Threads") <= threads + 2);
      const grown = server.figure("VmRSS") - memory;
      assert.ok(grown < 8192, `${grown} KiB more after 540 reloads`);
    });
    const report = reports.get("chat");
    assert.deepEqual(report?.failures, []);
    assert.ok(report.sent > 100);
    await Promise.all(
      Array<string>(10)
        .fill("pool")
        .map((model) => server.infer(model)),
    );
    await server.infer("batch");
    assert.deepEqual(
      (await server.queues()).filter((queue) => !queue.startsWith("pool/")),
      EXPECTED.filter((queue) => !queue.startsWith("pool/")),
    );
    assert.ok((await server.queues()).length <= EXPECTED.length);
  };

  it("leaves no queue, thread or memory behind in 200 reloads, and fails no request of others", async () => {
    for (let left = 2; ; left--) {
      const other = new Server(folder, options.xsched, options.driver, await freePorts(3), true);
      let passed = false;
      try {
        await other.start("chat", "batch", "pool", "own");
        await reloadOften(other);
        passed = true;
      } catch (error) {
        // Triton's own ends (native/triton_hooks/README.md) are no result of ours; anything else is.
        const own = /^(?:malloc_consolidate\(\): .*|Signal \(11\) received.)$/m.exec(other.said)?.[0];
        if (own === undefined || left === 0) throw error;
        console.log(`      once more, as Triton has ended: ${own}`);
      } finally {
        const code = await other.stop();
        if (passed) assert.equal(code, 0, other.said);
      }
      if (passed) return;
    }
  });

  describe("in a scheduling domain, with models of the Python backend", () => {
    let other: Server;

    before(async () => {
      other = new Server(folder, options.xsched, options.driver, await freePorts(3), true, "GLB");
      await other.start("python_high", "python_low", "stream_high");
      for (const model of ["python_high", "python_low", "stream_high"]) await other.infer(model);
    });

    after(async () => {
      assert.equal(await other.stop(), 0, other.said);
    });

    /** How many times as long the first takes if the second begins while it is at work. */
    const delayed = async (first: string, second: string): Promise<number> => {
      const alone = await other.infer(first);
      const work = other.infer(first);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const [took] = await Promise.all([work, other.infer(second)]);
      return took / alone;
    };

    it("gives their processes the model's name and priority", async () => {
      assert.deepEqual(await other.queuesOfModels(), [
        "python_high/python_high_0_0 60",
        "python_low/python_low_0_0 -60",
      ]);
    });

    it("holds one back while another process's more urgent model works, and not the other way round", async () => {
      // Each process has a simulated device of its own, so only the domain can make one wait for another.
      for (const second of ["python_high", "stream_high"]) {
        await contest(async () => {
          const low = await delayed("python_low", second);
          assert.ok(low > 1.5, `python_low beside ${second}: ${low}`);
        });
      }
      await contest(async () => {
        const high = await delayed("python_high", "python_low");
        assert.ok(high < 1.4, `python_high beside python_low: ${high}`);
      });
    });

    it("changes their priorities by the model's name, without a reload", async () => {
      await other.ctl("priority", "python_low", "70");
      assert.deepEqual(await other.queuesOfModels(), [
        "python_high/python_high_0_0 60",
        "python_low/python_low_0_0 70",
      ]);
      await contest(async () => {
        const high = await delayed("python_high", "python_low");
        assert.ok(high > 1.5, `python_high beside python_low: ${high}`);
      });
    });

    it("shares the device by their weights, each in a process of its own", async () => {
      const models = ["python_heavy", "python_light"] as const;
      for (const model of models) {
        assert.equal((await other.load(model)).status, 200, other.said);
        await other.infer(model);
      }
      // Whoever begins has nobody to share with, and all that it wants on its device. So it is the second one that is held
      // back: in three of four turns, or in one.
      const asSecond = async (first: string, second: string): Promise<number> => {
        const work = other.infer(first);
        await new Promise((resolve) => setTimeout(resolve, 50));
        const took = await other.infer(second);
        await work;
        return took;
      };
      await contest(async () => {
        const light = await asSecond("python_heavy", "python_light");
        const heavy = await asSecond("python_light", "python_heavy");
        const figures = JSON.stringify({ heavy, light });
        assert.ok(light > 1.4 * LONG_US && light > 1.05 * heavy, figures);
      });
    });
  });

  it("schedules nothing without the hooks", async () => {
    const other = new Server(folder, options.xsched, options.driver, await freePorts(3), false);
    try {
      await other.start("chat", "batch");
      await other.infer("chat");
      await other.infer("batch");
      assert.deepEqual(await other.queues(), []);
      // What came first comes first, whatever the priorities.
      for (const [first, second] of [
        ["default_low", "stream_high"],
        ["default_high", "stream_low"],
      ] as const) {
        for (const model of [first, second]) assert.equal((await other.load(model)).status, 200, other.said);
        await contest(async () => {
          const { ratio } = await compete(other, first, second);
          assert.ok(ratio > 1.3, `${second} after ${first}: ${ratio}`);
        });
      }
    } finally {
      assert.equal(await other.stop(), 0, other.said);
    }
  });

  /** What `npm run prove` finds out about two models, their backends' files included. */
  const prove = async (
    models: Readonly<Record<"high" | "low", Model>>,
    files: Readonly<Record<string, string>>,
    name: string,
    words: readonly string[],
    said?: Parameters<typeof execute>[4],
  ): Promise<{ out: string; finished: Finished; found: ProofResults["cases"][0] }> => {
    const repository = path.join(folder, name);
    for (const [model, config] of Object.entries(models)) {
      fs.mkdirSync(path.join(repository, model, "1"), { recursive: true });
      fs.writeFileSync(
        path.join(repository, model, "config.pbtxt"),
        `name: "${model}"\n${configOf(config)}\n`,
      );
      for (const [file, text] of Object.entries(files)) {
        fs.writeFileSync(path.join(repository, model, "1", file), text);
      }
    }
    const library = path.join(folder, `${name}-driver`);
    fs.mkdirSync(library);
    fs.symlinkSync(options.driver, path.join(library, "libcuda.so.1"));
    const out = path.join(folder, `${name}-results`);
    const program = tritonIn(folder);
    const finished = await execute(
      "node",
      [
        ...[path.resolve(NATIVE, "../scripts/prove.mjs"), "--repository", repository, "--out", out],
        ...["--tritonserver", program, "--backends", path.join(folder, "backends")],
        ...["--package", options.xsched, "--rate", "20", "--samples", "20", "--rounds", "1"],
        ...["--warm-up", "0", ...words],
      ],
      folder,
      {
        ...process.env,
        PATH: `${path.resolve(program, "../../../python/bin")}:${process.env.PATH}`,
        LD_LIBRARY_PATH: library,
        SIMULATED_VERSION: "10000",
        XSCHED_CUDA_LIB: options.driver,
        XSCHED_DOMAIN_DIR: path.join(folder, `${name}-domain`),
      },
      said,
    );
    // A signal may have ended it, with the results that there were.
    if (!fs.existsSync(path.join(out, "results.json"))) requireSuccess(finished);
    const { cases } = JSON.parse(fs.readFileSync(path.join(out, "results.json"), "utf8")) as ProofResults;
    return { out, finished, found: cases[0]! };
  };

  it("is measured by npm run prove with the processes of the Python backend", async () => {
    const high = { backend: "python", priority: 60 };
    const { finished, found } = await prove(
      { high, low: { ...high, priority: -60 } },
      { "model.py": pythonOnGpu({ kernels: 10, microseconds: 100 }) },
      "proof-python",
      ["--servers", "hooked", "--reloads", "0"],
    );
    requireSuccess(finished);
    assert.deepEqual(
      found.servers.map(({ queues }) => queues),
      [["high/high_0_0 60", "low/low_0_0 -60"]],
    );
  });

  it("keeps what npm run prove has found when a signal ends it during the reloads", async () => {
    let watching = false;
    const { finished, found } = await prove(
      // Both have their queues as soon as they are loaded, so the last reload leaves as many as there were.
      { high: MODELS.chat!, low: { ...MODELS.batch, backend: "one_stream" } },
      {},
      "proof-interrupted",
      ["--servers", "hooked", "--reloads", "100000"],
      (output, child) => {
        if (!output.includes("0 of 100000 reloads") || watching) return;
        watching = true;
        const log = path.join(folder, "proof-interrupted-results/own/hooked-reloads/triton.log");
        const loads = (): number => fs.readFileSync(log, "utf8").split("successfully loaded").length - 1;
        // Few, as Triton itself can end with a reload under load (native/triton_hooks/README.md).
        const enough = loads() + 3;
        const watch = setInterval(() => {
          if (loads() < enough && child.exitCode === null) return;
          clearInterval(watch);
          child.kill("SIGTERM");
        }, 20);
      },
    );
    assert.equal(finished.code, 128 + os.constants.signals.SIGTERM, finished.output);
    const { hooked } = found.reloads;
    assert.equal(hooked?.asked, 100_000, finished.output);
    assert.ok(hooked.reloads > 0 && hooked.reloads < hooked.asked, finished.output);
    assert.ok(hooked.answered.high > 0);
    assert.deepEqual([hooked.failed, hooked.problems], [0, []]);
    assert.equal(hooked.after?.queues, hooked.before.queues);
  });

  it("is measured by npm run prove, beside the stock server", async () => {
    const { out, finished, found } = await prove({ high: MODELS.chat!, low: MODELS.batch! }, {}, "proof", [
      "--reloads",
      "20",
      "--shares",
      "4",
    ]);
    requireSuccess(finished);
    const { output } = finished;
    const { servers, reloads, shares } = found;
    assert.deepEqual(
      servers.map(({ kind, queues }) => ({ kind, queues })),
      [
        { kind: "stock", queues: [] },
        { kind: "hooked", queues: ["high/high_0_0 200", "low/low_0_0 -100"] },
      ],
    );
    const arm = (place: number, name: string) =>
      servers[place]!.summary.arms.find((each) => each.arm === name)!;
    assert.deepEqual(
      servers.map(({ summary }) => summary.arms.map((each) => each.arm)),
      [
        ["standalone", "triton", "triton+priority"],
        ["standalone", "xsched"],
      ],
    );
    for (const each of servers.flatMap(({ summary }) => summary.arms)) assert.equal(each.samples, 20);
    // The stock server makes it wait for 40 kernels of 1 ms; ours for one, at most.
    if (!(arm(0, "triton").latencyMs.p50.value > 2 * arm(1, "xsched").latencyMs.p50.value)) {
      // On a machine that is busy otherwise, it may wait as long for a processor: not as long as for 400 kernels.
      const low = { ...MODELS.batch!, kernels: 400 };
      const again = await prove({ high: MODELS.chat!, low }, {}, "proof-again", ["--reloads", "0"]);
      requireSuccess(again.finished);
      const [stock, hooked] = again.found.servers.map(({ summary }) => summary.arms);
      const p50 = (arms: typeof stock, name: string): number =>
        arms!.find((each) => each.arm === name)!.latencyMs.p50.value;
      assert.ok(p50(stock, "triton") > 2 * p50(hooked, "xsched"), again.finished.output);
    }
    for (const { before, after, ...found } of Object.values(reloads)) {
      assert.equal(found.failed, 0);
      assert.ok(found.answered.high > 0);
      assert.equal(found.reloads, found.asked);
      assert.ok(after !== undefined && after.threads <= before.threads + 2, output);
    }
    // How much each model gets depends on this machine's load; native/xsched/tests has what a floor and weights give.
    assert.deepEqual(
      shares.phases.map(({ name, windows }) => ({ name, windows: windows.length })),
      ["priorities", "floor of 20 %", "no floor again", "equal priorities, weights 3 : 1"].map((name) => ({
        name,
        windows: 2,
      })),
    );
    for (const { high, low } of shares.phases) assert.ok(high > 0 && low > 0, JSON.stringify(shares));
    assert.deepEqual(shares.problems, []);
    assert.doesNotMatch(fs.readFileSync(path.join(out, "own/latency.svg"), "utf8"), /XSched was inactive/);
    assert.match(
      fs.readFileSync(path.join(out, "results.md"), "utf8"),
      /^\| the core and the hooks \| xsched \| 20 \|/m,
    );
  });
});
