import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { until } from "../../until";

const SCRIPTS = path.resolve(__dirname, "../../../images/triton");
const HTTP_STATUS = path.resolve(__dirname, "../../../native/http_status/http_status.cc");

/** Records its call, reports it, and runs until it is told to end. */
const TRITONSERVER = `#!/bin/bash
trap 'echo stopped >>"$RECORD"; exit 0' TERM
{ printf '%s\\n' "$@"; env; } >"$RECORD.new"
mv "$RECORD.new" "$RECORD"
while :; do sleep 0.1; done
`;

/** nvidia-smi on a machine with these GPUs: name and compute capability of each. */
const nvidiaSmi = (gpus: readonly string[]): string => `#!/bin/sh
case "$*" in
  *name,compute_cap*) printf '%s\\n' ${gpus.map((gpu) => `'${gpu}'`).join(" ")} ;;
  *) printf '%s\\n' ${gpus.map((gpu) => `'${gpu.split(",")[0] ?? ""}'`).join(" ")} ;;
esac
`;

const T4 = "Tesla T4, 7.5";

/** xsched-ctl where CUDA starts on this driver. */
const checkOf = (driver: string): string =>
  `#!/bin/sh\n[ "$1" = check ] || exit 2\nprintf 'driver     %s\\nscheduled  yes\\n' '${driver}'\n`;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

describe("the image's scripts", () => {
  let folder: string;
  let record: string;
  /** Compiled as in the Dockerfile. */
  let compiled: string | undefined;
  const children: ChildProcess[] = [];
  /** The tritonservers, which outlive an entrypoint that is killed. */
  const servers: number[] = [];

  const program = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, "programs", name), text, { mode: 0o755 });
  };

  /** Starts one of the image's scripts, with only these variables. */
  const start = (
    script: string,
    words: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): { child: ChildProcess; ended: Promise<Ended> } => {
    const child = spawn(path.join(folder, "xsched/bin", script), words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${path.join(folder, "programs")}:/usr/bin:/bin`,
        RECORD: record,
        XSCHED_TRITON_STATE: path.join(folder, "state"),
        ...environment,
      },
    });
    children.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => (output += text));
    }
    const ended = new Promise<Ended>((resolve) => {
      child.on("close", (code) => {
        resolve({ code, output });
      });
    });
    return { child, ended };
  };

  const run = (script: string, words: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Ended> =>
    start(script, words, environment).ended;

  /** Starts tritonserver through the entrypoint, and returns its arguments and environment. */
  const serve = async (
    words: readonly string[] = [],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<{ child: ChildProcess; ended: Promise<Ended>; called: string[] }> => {
    const started = start("entrypoint.sh", ["tritonserver", ...words], environment);
    await until("tritonserver runs", () => fs.existsSync(record) && fs.existsSync(state("server")));
    servers.push(Number(fs.readFileSync(state("server"), "utf8").split("\n")[0]));
    return { ...started, called: fs.readFileSync(record, "utf8").split("\n") };
  };

  const state = (name: string): string => path.join(folder, "state", name);

  const control = (text: string): void => {
    fs.writeFileSync(path.join(folder, "xsched/bin/xsched-ctl"), text, { mode: 0o755 });
  };

  before(function () {
    if (spawnSync("g++", ["--version"]).error !== undefined) {
      console.log("      g++ is not installed (Debian: g++)");
      this.skip();
    }
    compiled = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-image-"));
    execFileSync("g++", ["-o", path.join(compiled, "http-status"), HTTP_STATUS]);
  });

  after(() => {
    if (compiled !== undefined) fs.rmSync(compiled, { recursive: true, force: true });
  });

  beforeEach(() => {
    folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-image-")));
    record = path.join(folder, "record");
    for (const part of ["programs", "xsched/bin", "xsched/lib"]) {
      fs.mkdirSync(path.join(folder, part), { recursive: true });
    }
    for (const script of ["entrypoint.sh", "healthcheck.sh"]) {
      fs.copyFileSync(path.join(SCRIPTS, script), path.join(folder, "xsched/bin", script));
      fs.chmodSync(path.join(folder, "xsched/bin", script), 0o755);
    }
    fs.copyFileSync(path.join(SCRIPTS, "releases.txt"), path.join(folder, "xsched/releases.txt"));
    fs.copyFileSync(path.join(compiled!, "http-status"), path.join(folder, "xsched/bin/http-status"));
    control(checkOf("/usr/lib/libcuda.so.1"));
    // Any library will do: it is only looked for.
    const [library = ""] = /\/\S*\/libm\.so\.6/.exec(fs.readFileSync("/proc/self/maps", "utf8")) ?? [];
    fs.copyFileSync(library, path.join(folder, "xsched/lib/libshimcuda.so"));
    fs.symlinkSync("libshimcuda.so", path.join(folder, "xsched/lib/libcuda.so.1"));
    fs.copyFileSync(library, path.join(folder, "xsched/lib/libxsched_triton_hooks.so"));
    program("tritonserver", TRITONSERVER);
    program("nvidia-smi", "#!/bin/sh\nexit 9\n");
  });

  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const pid of servers.splice(0)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    fs.rmSync(folder, { recursive: true, force: true });
  });

  describe("entrypoint.sh", () => {
    it("runs tritonserver with XSched first where there is a GPU", async () => {
      program("nvidia-smi", nvidiaSmi([T4]));
      const { called } = await serve(["--http-port=9000"], {
        LD_LIBRARY_PATH: "/usr/local/nvidia/lib64",
        XSCHED_TRITON_VARIANT: "patched",
      });
      assert.equal(called[0], "--http-port=9000");
      assert.ok(called.includes(`LD_LIBRARY_PATH=${folder}/xsched/lib:/usr/local/nvidia/lib64`));
      assert.ok(called.includes("XSCHED_POLICY=HPF"));
      assert.ok(called.includes("XSCHED_REQUIRED=ON"));
      assert.ok(!called.some((line) => line.startsWith("XSCHED_AUTO_XQUEUE=")));
    });

    it("turns every stream into an XQueue in the variant transparent", async () => {
      program("nvidia-smi", nvidiaSmi(["NVIDIA L4, 8.9"]));
      const { called } = await serve([], { XSCHED_TRITON_VARIANT: "transparent" });
      assert.ok(called.includes("XSCHED_AUTO_XQUEUE=ON"));
      assert.ok(!called.some((line) => line.startsWith("LD_PRELOAD=")));
    });

    it("preloads the hooks in the variant hooked, in front of what else is preloaded", async () => {
      program("nvidia-smi", nvidiaSmi(["NVIDIA L4, 8.9"]));
      const hooks = path.join(folder, "xsched/lib/libxsched_triton_hooks.so");
      for (const others of ["", "/lib/x86_64-linux-gnu/libm.so.6"]) {
        fs.rmSync(record, { force: true });
        fs.rmSync(state("server"), { force: true });
        const { called } = await serve([], {
          XSCHED_TRITON_VARIANT: "hooked",
          ...(others !== "" && { LD_PRELOAD: others }),
        });
        assert.ok(
          called.includes(`LD_PRELOAD=${[hooks, others].filter(Boolean).join(":")}`),
          called.join("\n"),
        );
        assert.ok(called.includes(`LD_LIBRARY_PATH=${folder}/xsched/lib`));
        assert.ok(called.includes("XSCHED_AUTO_XQUEUE=ON"));
        assert.ok(called.includes("XSCHED_REQUIRED=ON"));
      }
    });

    it("runs tritonserver without the hooks if it is told to, but says so", async () => {
      program("nvidia-smi", nvidiaSmi(["NVIDIA L4, 8.9"]));
      fs.rmSync(path.join(folder, "xsched/lib/libxsched_triton_hooks.so"));
      const { child, ended } = await serve([], { XSCHED_TRITON_VARIANT: "hooked", XSCHED_REQUIRED: "OFF" });
      child.kill("SIGTERM");
      assert.match(
        (await ended).output,
        /^warning: models run unscheduled: the hooks .* cannot be loaded: /m,
      );
    });

    it("runs tritonserver as the base does if there is no GPU and none is required", async () => {
      const { child, ended, called } = await serve([], {
        XSCHED_REQUIRED: "OFF",
        XSCHED_TRITON_VARIANT: "hooked",
      });
      assert.ok(called.includes("XSCHED_REQUIRED=OFF"));
      assert.ok(!called.some((line) => /^(LD_LIBRARY_PATH|LD_PRELOAD|XSCHED_POLICY)=/.test(line)));
      child.kill("SIGTERM");
      assert.match((await ended).output, /warning: models run unscheduled: no GPU is visible/);
    });

    it("runs any other command unchanged, and says what to pass if there is none", async () => {
      program("nvidia-smi", nvidiaSmi([T4]));
      const { code, output } = await run("entrypoint.sh", ["sh", "-c", "env; exit 3"]);
      assert.equal(code, 3);
      assert.doesNotMatch(output, /^(LD_LIBRARY_PATH|XSCHED_POLICY|XSCHED_TRITON_ENTERED)=/m);
      const nothing = await run("entrypoint.sh", []);
      assert.deepEqual(
        [nothing.code, nothing.output],
        [1, "error: no command given\nfix: docker run … IMAGE tritonserver --model-repository=/models\n"],
      );
    });

    it("goes through the base's own entrypoint, which does not see XSched", async () => {
      program("nvidia-smi", nvidiaSmi([T4]));
      program(
        "base",
        `#!/bin/bash\necho "base: \${LD_LIBRARY_PATH-none}"\nexport LD_LIBRARY_PATH=/compat\nexec "$@"\n`,
      );
      const { child, ended, called } = await serve([], {
        XSCHED_TRITON_BASE_ENTRYPOINT: path.join(folder, "programs/base"),
      });
      assert.ok(called.includes(`LD_LIBRARY_PATH=${folder}/xsched/lib:/compat`));
      child.kill("SIGTERM");
      assert.match((await ended).output, /^base: none$/m);
    });

    it("knows which GPUs the base's release of Triton supports", async () => {
      const warning = async (gpu: string, release?: string): Promise<string> => {
        program("nvidia-smi", nvidiaSmi([gpu]));
        fs.rmSync(record, { force: true });
        fs.rmSync(state("server"), { force: true });
        const { child, ended } = await serve([], {
          XSCHED_TRITON_VARIANT: "hooked",
          ...(release !== undefined && { NVIDIA_TRITON_SERVER_VERSION: release }),
        });
        child.kill("SIGTERM");
        return (await ended).output;
      };
      assert.equal(await warning("NVIDIA L4, 8.9", "24.11"), "");
      assert.equal(
        await warning("NVIDIA B200, 10.0", "24.11"),
        "warning: Triton 24.11 does not support NVIDIA B200 (compute capability 10.0): " +
          "use a GPU of compute capability 6.0, 6.1, 7.0, 7.5, 8.0, 8.6, 8.9, 9.0, or another base\n",
      );
      assert.match(
        await warning("Tesla V100-SXM2-16GB, 7.0", "26.12"),
        /^warning: Triton 26\.12 does not support/,
      );
      assert.equal(await warning("Tesla V100-SXM2-16GB, 7.0", "22.06"), "");
      // Older than the table, or a base that doesn't say what it is.
      assert.equal(await warning("NVIDIA B200, 10.0", "21.07"), "");
      assert.equal(await warning("NVIDIA B200, 10.0"), "");
    });

    it("on a driver that does not tell a GPU's compute capability", async () => {
      const answer = "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2";
      program("nvidia-smi", nvidiaSmi([T4]).replace(/(?<=compute_cap\*\)) .* ;;/, ` ${answer} ;;`));
      for (const XSCHED_TRITON_VARIANT of ["patched", "hooked"]) {
        fs.rmSync(record, { force: true });
        fs.rmSync(state("server"), { force: true });
        const { child, ended } = await serve([], {
          XSCHED_TRITON_VARIANT,
          NVIDIA_TRITON_SERVER_VERSION: "22.06",
        });
        child.kill("SIGTERM");
        assert.equal((await ended).output, "");
      }
    });

    it("ignores BASH_ENV, and starts no Bash that obeys it", async () => {
      program("nvidia-smi", nvidiaSmi([T4]));
      const started = path.join(folder, "started");
      fs.writeFileSync(path.join(folder, "bash_env"), `echo started >>'${started}'\n`);
      // tritonserver is a script of Bash's here.
      program("tritonserver", TRITONSERVER.replace("#!/bin/bash", "#!/bin/bash -p"));
      await serve([], { BASH_ENV: path.join(folder, "bash_env") });
      assert.ok(!fs.existsSync(started));
    });

    it("keeps NVIDIA's start-up file of Bash from what Triton starts, but no other", async () => {
      program("nvidia-smi", nvidiaSmi([T4]));
      for (const BASH_ENV of ["/etc/bash.bashrc", "/opt/models/environment"]) {
        fs.rmSync(record, { force: true });
        fs.rmSync(state("server"), { force: true });
        const { called } = await serve([], { BASH_ENV });
        const variable = called.find((line) => line.startsWith("BASH_ENV="));
        assert.equal(variable, BASH_ENV === "/etc/bash.bashrc" ? undefined : `BASH_ENV=${BASH_ENV}`);
      }
    });

    describe("on Vertex AI", () => {
      const base = '#!/bin/bash\nset -- ${AIP_MODE:+unscheduled} "$@"\nexec "$@"\n';
      let environment: NodeJS.ProcessEnv;

      beforeEach(() => {
        program("nvidia-smi", nvidiaSmi([T4]));
        program("base", base);
        program("unscheduled", '#!/bin/sh\necho "unscheduled: $*"\n');
        environment = {
          AIP_MODE: "PREDICTION",
          XSCHED_TRITON_BASE_ENTRYPOINT: path.join(folder, "programs/base"),
        };
      });

      it("serves scheduled, with arguments only or a command", async () => {
        for (const words of [["--http-port=9000"], ["tritonserver", "--http-port=9000"]]) {
          fs.rmSync(record, { force: true });
          fs.rmSync(state("server"), { force: true });
          start("entrypoint.sh", words, environment);
          await until("tritonserver runs", () => fs.existsSync(record) && fs.existsSync(state("server")));
          servers.push(Number(fs.readFileSync(state("server"), "utf8").split("\n")[0]));
          const called = fs.readFileSync(record, "utf8").split("\n");
          assert.equal(called[0], "--http-port=9000");
          assert.ok(called.includes(`LD_LIBRARY_PATH=${folder}/xsched/lib`));
          assert.ok(called.includes("AIP_MODE=PREDICTION"));
          assert.ok(!called.some((line) => line.startsWith("XSCHED_TRITON_AIP_MODE=")));
        }
      });

      it("runs other commands unchanged", async () => {
        const { output } = await run("entrypoint.sh", ["sh", "-c", "echo $AIP_MODE"], environment);
        assert.equal(output, "PREDICTION\n");
      });
    });

    describe("with scheduling required, refuses to start", () => {
      const refusal = async (environment: NodeJS.ProcessEnv): Promise<string> => {
        const { code, output } = await run("entrypoint.sh", ["tritonserver"], {
          XSCHED_REQUIRED: "ON",
          XSCHED_TRITON_VARIANT: "patched",
          ...environment,
        });
        assert.equal(code, 1, output);
        assert.ok(!fs.existsSync(record), "tritonserver did not run");
        return output;
      };
      const unscheduled = (problem: string, fix: string): string =>
        `error: models cannot be scheduled: ${problem}\nfix: ${fix}\n` +
        "Triton was not started, because XSCHED_REQUIRED is ON (scheduler.required in the stack config).\n";

      it("without a GPU", async () => {
        assert.equal(
          await refusal({}),
          unscheduled(
            "no GPU is visible in the container",
            "run it with --gpus all on a host with an NVIDIA driver and the NVIDIA container toolkit",
          ),
        );
      });

      it("with the patched backend, on a GPU that its release does not support", async () => {
        program("nvidia-smi", nvidiaSmi([T4, "NVIDIA H100 80GB HBM3, 9.0"]));
        for (const release of ["22.06", undefined]) {
          assert.equal(
            await refusal(release === undefined ? {} : { NVIDIA_TRITON_SERVER_VERSION: release }),
            unscheduled(
              "Triton 22.06 does not support NVIDIA H100 80GB HBM3 (compute capability 9.0)",
              "use a GPU of compute capability 6.0, 6.1, 7.0, 7.5, 8.0, 8.6, or build the variant hooked on a newer Triton",
            ),
          );
        }
      });

      it("without the hooks, or with ones that the loader refuses", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        const hooks = path.join(folder, "xsched/lib/libxsched_triton_hooks.so");
        for (const what of ["missing", "broken"]) {
          if (what === "missing") fs.rmSync(hooks);
          else fs.writeFileSync(hooks, "no library");
          assert.match(
            await refusal({ XSCHED_TRITON_VARIANT: "hooked" }),
            /^error: models cannot be scheduled: the hooks for Triton's backends cannot be loaded: ERROR: ld\.so: .*\nfix: rebuild the image\n/,
          );
        }
        // Nobody else needs them.
        await serve([], { XSCHED_TRITON_VARIANT: "patched" });
      });

      it("with settings that schedule nothing, and names each", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        const output = await refusal({
          XSCHED_POLICY: "CFS",
          XSCHED_SCHEDULER: "APP",
          XSCHED_CONTROL: "off",
        });
        assert.match(output, /XSCHED_POLICY is 'CFS', which schedules no models\nfix: set it to HPF/);
        assert.match(
          output,
          /XSCHED_SCHEDULER is 'APP', which schedules no models\nfix: set it to GLB or LCL/,
        );
        assert.match(output, /XSCHED_CONTROL is 'off', .*\nfix: set it to ON/);
      });

      it("with a scheduling domain that the core would refuse", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        const domain = path.join(folder, "domain");
        const says = async (what: string, given = domain): Promise<void> => {
          assert.equal(
            await refusal({ XSCHED_DOMAIN_DIR: given }),
            unscheduled(
              `the folder of the scheduling domain, ${given}, ${what}`,
              "run all containers of the domain as one user, or set scheduler.domain to none (XSCHED_SCHEDULER=LCL)",
            ),
          );
        };
        const others = `is not a folder that only this container's user (uid ${process.getuid?.()}) can write to`;
        await says("is not an absolute path", "domain");
        await says("cannot be created", path.join(domain, "gpus"));
        for (const mode of [0o720, 0o702]) {
          fs.mkdirSync(domain);
          fs.chmodSync(domain, mode);
          await says(others);
          fs.rmdirSync(domain);
        }
        fs.writeFileSync(domain, "");
        await says(others);
        fs.rmSync(domain);
        fs.symlinkSync(folder, domain);
        await says("is a symbolic link");
        fs.rmSync(domain);
        // One that is not there yet is made for this user alone; without a domain there is nothing to refuse.
        const { called } = await serve([], { XSCHED_DOMAIN_DIR: domain });
        assert.ok(called.includes("XSCHED_SCHEDULER=GLB"));
        assert.equal(fs.statSync(domain).mode & 0o777, 0o700);
        fs.rmSync(record);
        fs.rmSync(state("server"));
        fs.chmodSync(domain, 0o777);
        const alone = await serve([], { XSCHED_DOMAIN_DIR: domain, XSCHED_SCHEDULER: "LCL" });
        assert.ok(alone.called.includes("XSCHED_SCHEDULER=LCL"));
      });

      it("when CUDA would use another library", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        const other = path.join(folder, "libcuda.so.1");
        fs.copyFileSync(path.join(folder, "xsched/lib/libshimcuda.so"), other);
        assert.equal(
          await refusal({ LD_PRELOAD: other }),
          unscheduled(
            `CUDA would use ${other} instead of ${folder}/xsched/lib/libcuda.so.1`,
            "remove LD_PRELOAD from the container's environment; if the file is missing, rebuild the image",
          ),
        );
        fs.rmSync(path.join(folder, "xsched/lib/libcuda.so.1"));
        assert.match(await refusal({}), /CUDA would use no libcuda\.so\.1 at all instead of/);
      });

      it("when CUDA does not start", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        control("#!/bin/sh\necho 'driver     /x'\necho 'scheduled  no: cuInit returns 803'\nexit 1\n");
        assert.equal(
          await refusal({}),
          unscheduled(
            "CUDA does not start under XSched: scheduled  no: cuInit returns 803",
            "check that nvidia-smi works in the container; the host's driver must fit the image's CUDA or its compat package (Triton 22.06: 515 or newer)",
          ),
        );
        assert.match(
          await refusal({ XSCHED_TRITON_VARIANT: "hooked", NVIDIA_TRITON_SERVER_VERSION: "26.10" }),
          /or its compat package \(Triton 26\.10: 580 or newer\)$/m,
        );
        assert.match(await refusal({ XSCHED_TRITON_VARIANT: "hooked" }), /or its compat package$/m);
      });

      it("when XSched would use a different driver than CUDA without it", async () => {
        program("nvidia-smi", nvidiaSmi([T4]));
        const compat = path.join(folder, "compat/lib.real/libcuda.so.1");
        const host = path.join(folder, "host/libcuda.so.1");
        for (const file of [compat, host]) {
          fs.mkdirSync(path.dirname(file), { recursive: true });
          fs.copyFileSync(path.join(folder, "xsched/lib/libshimcuda.so"), file);
        }
        control(checkOf(compat));
        const environment = { LD_LIBRARY_PATH: `${folder}/xsched/lib:${path.dirname(host)}` };
        assert.equal(
          await refusal(environment),
          unscheduled(
            `XSched would use the driver ${compat}, but CUDA without XSched would use ${host}`,
            `set XSCHED_CUDA_LIB to ${host}`,
          ),
        );
        // A driver that the user names is used.
        const { called } = await serve([], { ...environment, XSCHED_CUDA_LIB: compat });
        assert.ok(called.includes(`XSCHED_CUDA_LIB=${compat}`));
        assert.equal(fs.readFileSync(state("server"), "utf8").split("\n")[4], "-");
      });

      it("for a meaningless value", async () => {
        assert.equal(
          await refusal({ XSCHED_REQUIRED: "maybe" }),
          "error: XSCHED_REQUIRED is 'maybe'\nfix: set it to ON or OFF, or remove it\n",
        );
        assert.equal(
          await refusal({ XSCHED_TRITON_DRAIN_SECONDS: "5s" }),
          "error: XSCHED_TRITON_DRAIN_SECONDS is '5s'\nfix: give a whole number of seconds from 0 to 9999\n",
        );
      });
    });

    it("forwards a stop at once, and ends as tritonserver does", async () => {
      const { child, ended } = await serve();
      child.kill("SIGTERM");
      assert.equal((await ended).code, 0);
      assert.match(fs.readFileSync(record, "utf8"), /^stopped$/m);
      fs.rmSync(record);
      program("tritonserver", `${TRITONSERVER.split("while")[0] ?? ""}sleep 0.5; exit 7\n`);
      const failed = await serve();
      assert.equal((await failed.ended).code, 7);
    });

    it("drains before it stops: it is unhealthy but keeps serving, and a second signal changes nothing", async () => {
      // It drains until the test has seen enough.
      const time = path.join(folder, "time");
      const drained = path.join(folder, "drained");
      const drain = `echo 97 >'${time}'; while [ ! -e '${drained}' ]; do /bin/sleep 0.05; done`;
      program("sleep", `#!/bin/sh\n[ "$1" = 97 ] || exec /bin/sleep "$1"\n${drain}\n`);
      const { child, ended } = await serve([], { XSCHED_TRITON_DRAIN_SECONDS: "97" });
      child.kill("SIGTERM");
      await until("it drains", () => fs.existsSync(state("draining")));
      child.kill("SIGTERM");
      assert.match((await run("healthcheck.sh", [])).output, /unhealthy: Triton is draining before it stops/);
      await until("it waits", () => fs.existsSync(time));
      assert.doesNotMatch(fs.readFileSync(record, "utf8"), /^stopped$/m);
      fs.writeFileSync(drained, "");
      assert.equal((await ended).code, 0);
      assert.match(fs.readFileSync(record, "utf8"), /^stopped$/m);
    });

    it("forgets the drain of the previous server", async () => {
      fs.mkdirSync(path.join(folder, "state"));
      fs.writeFileSync(state("draining"), "");
      await serve();
      assert.ok(!fs.existsSync(state("draining")));
    });
  });

  describe("check-libraries.sh", () => {
    const compile = (...words: string[]): void => {
      execFileSync("g++", ["-shared", "-fPIC", "-x", "c", ...words], { cwd: folder });
    };
    const check = (): Ended => {
      const { status, stdout, stderr } = spawnSync(
        path.join(SCRIPTS, "check-libraries.sh"),
        [path.join(folder, "built")],
        { encoding: "utf8", env: { PATH: "/usr/bin:/bin", BASH_ENV: path.join(folder, "gpu-check") } },
      );
      return { code: status, output: stdout + stderr };
    };

    /** A library, as it is where another is linked to it, and then as it is where that one is loaded. */
    const build = (linked: string, loaded: string): void => {
      fs.mkdirSync(path.join(folder, "built/lib"), { recursive: true });
      fs.writeFileSync(path.join(folder, "gpu-check"), "echo 'no GPU'; exit 9\n");
      fs.writeFileSync(path.join(folder, "c.c"), "int sound(void) { return 1; }\n");
      fs.writeFileSync(path.join(folder, "core.c"), "int sound(void);\nint core(void) { return sound(); }\n");
      fs.writeFileSync(path.join(folder, "built/script.sh"), "#!/bin/sh\n");
      const library = (version: string): void => {
        fs.writeFileSync(path.join(folder, "map"), `${version} { global: sound; };\n`);
        compile("c.c", "-o", "libsound.so", "-Wl,--version-script=map", "-Wl,-soname,libsound.so");
      };
      library(linked);
      compile(
        "core.c",
        "-o",
        "built/lib/libcore.so",
        `-Wl,-rpath,${folder}`,
        "-Wl,--no-as-needed",
        "-L.",
        "-lsound",
      );
      library(loaded);
    };

    it("accepts what the base can load", () => {
      build("SOUND_2.35", "SOUND_2.35");
      assert.deepEqual(check(), { code: 0, output: "" });
    });

    it("refuses what was linked with a newer library, and says how to mend it", () => {
      build("SOUND_2.38", "SOUND_2.35");
      const { code, output } = check();
      assert.equal(code, 1);
      assert.equal(output.split("\n")[1], `  ${folder}/built/lib/libcore.so needs SOUND_2.38`);
      assert.match(
        output,
        /^BUILDER has a newer C or C\+\+ library than BASE[^]*\nfix: set BUILDER \(in a stack: runtime\.build\.builder\)/,
      );
    });
  });

  describe("healthcheck.sh", () => {
    let server: http.Server;
    let status: number;

    beforeEach(async () => {
      status = 200;
      server = http.createServer((request, response) => {
        response.statusCode = request.url === "/v2/health/ready" ? status : 404;
        response.end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      fs.mkdirSync(path.join(folder, "state"));
    });

    afterEach(() => {
      server.close();
      server.closeAllConnections();
    });

    const serving = (required: string, driver = "-", pid = 4242): void => {
      const { port } = server.address() as AddressInfo;
      fs.writeFileSync(state("server"), `${pid}\n127.0.0.1\n${port}\n${required}\n${driver}\n`);
    };
    const answering = (code: number): void => {
      control(
        `#!/bin/sh\n[ "$*" = "--pid 4242 status" ] || exit 2\necho 'driver     /lib/one'\necho "scheduled  no: it is a test"\nexit ${code}\n`,
      );
    };

    it("accepts a ready Triton that need not be scheduled", async () => {
      serving("OFF");
      answering(3);
      assert.deepEqual(await run("healthcheck.sh", []), { code: 0, output: "" });
    });

    it("reports that Triton is not ready, or not listening yet", async () => {
      serving("OFF");
      status = 400;
      assert.match(
        (await run("healthcheck.sh", [])).output,
        /^unhealthy: Triton is not ready: HTTP\/1.1 400/,
      );
      await new Promise((resolve) => server.close(resolve));
      const { code, output } = await run("healthcheck.sh", []);
      assert.equal(code, 1);
      assert.match(output, /^unhealthy: Triton is not listening on 127\.0\.0\.1:\d+ yet\n$/);
    });

    it("asks tritonserver's scheduler if that is required, and on request", async () => {
      serving("ON");
      answering(0);
      assert.equal((await run("healthcheck.sh", [])).code, 0);
      for (const code of [1, 3]) {
        answering(code);
        const expected = {
          code: 1,
          output: "unhealthy: Triton is not scheduled: scheduled  no: it is a test\n",
        };
        assert.deepEqual(await run("healthcheck.sh", []), expected);
        serving("OFF");
        assert.deepEqual(await run("healthcheck.sh", ["scheduler"]), expected);
        serving("ON");
      }
    });

    it("requires the hooks in the process if the image has them", async () => {
      answering(0);
      const hooks = path.join(folder, "xsched/lib/libxsched_triton_hooks.so");
      const withPreload = async (preload: string): Promise<Ended> => {
        const process = spawn("/bin/sleep", ["60"], { env: { LD_PRELOAD: preload } });
        children.push(process);
        serving("ON", "-", process.pid);
        control(`#!/bin/sh\n[ "$*" = "--pid ${process.pid} status" ] || exit 2\n`);
        await until("it runs", () =>
          fs.readFileSync(`/proc/${process.pid}/maps`, "utf8").includes("/libc.so.6"),
        );
        return run("healthcheck.sh", ["scheduler"], { XSCHED_TRITON_VARIANT: "hooked" });
      };
      assert.deepEqual(await withPreload(hooks), { code: 0, output: "" });
      assert.deepEqual(await withPreload(""), {
        code: 1,
        output: "unhealthy: Triton is not scheduled: it runs without the hooks for its backends\n",
      });
    });

    it("reports that Triton runs on another driver than CUDA would use", async () => {
      answering(0);
      serving("ON", "/lib/../lib/one");
      assert.deepEqual(await run("healthcheck.sh", []), { code: 0, output: "" });
      serving("ON", "/lib/two");
      const expected = {
        code: 1,
        output:
          "unhealthy: Triton is not scheduled on the right driver: it uses /lib/one, CUDA would use /lib/two\n",
      };
      assert.deepEqual(await run("healthcheck.sh", []), expected);
      assert.deepEqual(await run("healthcheck.sh", ["scheduler"]), expected);
    });

    it("starts no Bash that obeys BASH_ENV", async () => {
      answering(0);
      serving("ON");
      const started = path.join(folder, "started");
      fs.writeFileSync(path.join(folder, "bash_env"), `echo started >>'${started}'\n`);
      const { code } = await run("healthcheck.sh", [], { BASH_ENV: path.join(folder, "bash_env") });
      assert.equal(code, 0);
      assert.ok(!fs.existsSync(started));
    });

    it("reports that no tritonserver was started, and which check exists", async () => {
      assert.deepEqual(await run("healthcheck.sh", []), {
        code: 1,
        output: "unhealthy: the image's entrypoint has not started tritonserver\n",
      });
      assert.equal(
        (await run("healthcheck.sh", ["gpu"])).output,
        "unhealthy: 'gpu' is not a check; the only one is scheduler\n",
      );
    });
  });
});
