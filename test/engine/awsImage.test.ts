import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { dockerFile } from "../fixtures/standInCloud/containers";
import { REGISTRY } from "../fixtures/standInCloud/identity";
import { AwsStack, changed } from "./awsStack";
import { BuildKit } from "./buildKit";
import { DockerEngine } from "./dockerEngine";
import { Ecr } from "./ecr";
import { EXAMPLES, MODELS } from "./examples";
import { StandInImages } from "./standInImage";
import { IMAGE_PROVIDER } from "./toolchain";
import { requireSuccess } from "./workspace";
import { skipWithout } from "./needs";

const REPOSITORY = "aws:ecr/repository:Repository";

function whatIsMissing(): string | undefined {
  if (!fs.existsSync(IMAGE_PROVIDER)) return "Docker's build provider is missing (`npm test` looks for it)";
  if (DockerEngine.runs) return "the Docker that runs here does not know the registry of the stand-in";
  return AwsStack.missing ?? BuildKit.missing ?? DockerEngine.missing ?? Ecr.missing ?? StandInImages.missing;
}

describe("an image that goes through ECR, on a stand-in for AWS", function () {
  let stack: AwsStack;
  let ecr: Ecr;
  let engine: DockerEngine;
  let kit: BuildKit;
  let images: StandInImages;

  const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

  const containers = async (): Promise<string[]> =>
    lines(await engine.ask("ps", "--all", "--quiet", "--no-trunc"));

  const inspect = async (format: string): Promise<string> =>
    engine.ask("inspect", "--format", format, ...(await containers()));

  const running = (): Promise<string> => inspect("{{.Id}} {{.State.StartedAt}}");

  /** The digests of the stack's images on the machine. */
  const onMachine = async (): Promise<string[]> => {
    const found = await engine.ask("images", "--digests", "--format", "{{.Repository}}@{{.Digest}}");
    return lines(found).filter((image) => image.startsWith(REGISTRY));
  };

  const repository = (): string => stack.properties(REPOSITORY).name as string;

  const everyModelServes = async (): Promise<void> => {
    for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
  };

  before(async function () {
    // The stand-in images may have to be made, or another file be making them, on a busy machine.
    this.timeout(1_200_000);
    skipWithout(this, whatIsMissing());
    stack = await AwsStack.create("dev");
    ecr = await Ecr.serve(stack.cloud);
    engine = await DockerEngine.start(ecr.names);
    kit = await BuildKit.start({ disk: "user", names: ecr.names });
    images = await StandInImages.serve(engine);
    Object.assign(stack.workspace.environment, engine.environment, kit.environment);
    fs.writeFileSync(dockerFile(), engine.environment.DOCKER_HOST ?? "");
    stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
    const build = {
      // With compilers, unlike that of image.test.ts, which installs them.
      ...{ variant: "transparent", base: images.image("1"), builder: await images.tools(engine) },
      sbomGenerator: await images.scanner(engine),
    };
    stack.set(["xsched-triton:runtime", "build"], build);
    // Triton waits as long for the tests' idle connections.
    stack.set(["xsched-triton:server", "exitTimeoutSeconds"], 5);
  });

  after(async () => {
    if (whatIsMissing() !== undefined) return;
    await stack.down();
    await kit.stop();
    await images.stop();
    await engine.stop();
    await ecr.stop();
    await stack.stop();
  });

  it("is built, pushed, pulled by digest with the instance's role, and serves every model", async function () {
    // All may have to be compiled, on a machine that may be busy otherwise.
    this.timeout(1_200_000);
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    // A stack that names the variant which others have replaced goes on as it is, and is told so.
    assert.match(output, /warning: build\.variant is transparent: [^]*hooked replaces it/);
    assert.doesNotMatch(output, /\.sh: line \d+:/);
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await stack.triton.isReady(name), name);
      assert.deepEqual(await stack.triton.priority(name), priority);
      const { status, body } = await stack.triton.infer(name, await stack.triton.exampleRequest(name));
      assert.equal(status, 200, body);
    }
    assert.equal((await ecr.tags(repository())).length, 1);
    const [image] = await onMachine();
    assert.equal(await inspect("{{.Config.Image}}"), image);
    assert.match(image ?? "", new RegExp(`^${REGISTRY}/${repository()}@sha256:`));
    assert.equal((await containers()).length, 1);
  });

  it("is neither built nor pushed again when nothing has changed, although each login has another password", async () => {
    const before = await running();
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
    assert.equal((await ecr.tags(repository())).length, 1);
    assert.equal(await running(), before);
  });

  describe("when it has changed", () => {
    // Not a file of the core, which takes a minute to compile.
    const source = (): string => stack.workspace.file("images/triton/entrypoint.sh");

    /** An `up` in which the machine cannot get the image, and which changes nothing there. */
    const failure = async (action: string): Promise<string> => {
      const before = await running();
      stack.cloud.fail("iam", action, "forbidden by an administrator");
      const { code, output } = await stack.up();
      stack.cloud.recover();
      assert.notEqual(code, 0);
      assert.equal(await running(), before);
      await everyModelServes();
      // The script's message, next to Pulumi's own.
      const errors = [...output.matchAll(/^ {4}error: (?!update failed|running ")(.*\n.*)$/gm)];
      const [error = "", ...others] = errors.map(([, text = ""]) => text);
      assert.deepEqual(others, [], output);
      return error;
    };

    it("reports that the instance's role may not log in, and its predecessor keeps serving", async () => {
      fs.appendFileSync(source(), "# changed\n");
      const error = await failure("ecr:GetAuthorizationToken");
      assert.match(
        error,
        new RegExp(
          `^the role of this instance may not log in to ${REGISTRY}\n +fix: check the instance profile`,
        ),
      );
      assert.equal((await ecr.tags(repository())).length, 2);
    });

    it("reports that the instance's role may not pull, and its predecessor keeps serving", async () => {
      const error = await failure("ecr:BatchGetImage");
      assert.match(
        error,
        /^Docker cannot pull the image .* is not authorized to perform: ecr:BatchGetImage on /,
      );
      assert.match(error, /\n +fix: let the role of this instance pull from the repository/);
      assert.equal((await ecr.tags(repository())).length, 2);
    });

    it("replaces its predecessor once the role may pull, without being built again", async () => {
      const before = await running();
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), ["triton-server-image updated", "triton-server-process updated"]);
      assert.notEqual(await running(), before);
      await everyModelServes();
      assert.equal((await ecr.tags(repository())).length, 2);
      assert.equal((await onMachine()).length, 2);
    });

    it("can become its predecessor again, even on a machine that has built nothing yet", async function () {
      // All is compiled once more.
      this.timeout(1_200_000);
      const before = await running();
      await kit.stop();
      kit = await BuildKit.start({ disk: "own", names: ecr.names });
      Object.assign(stack.workspace.environment, kit.environment);
      fs.writeFileSync(source(), fs.readFileSync(source(), "utf8").replace("# changed\n", ""));
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.notEqual(await running(), before);
      await everyModelServes();
      // Its old tag stays where it is.
      assert.equal((await ecr.tags(repository())).length, 3);
    });
  });

  describe("at the end", () => {
    it("leaves the machine together with the container runtime, and its repository is deleted", async () => {
      stack.set(["xsched-triton:runtime"], { kind: "process" });
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      await everyModelServes();
      assert.deepEqual(await containers(), []);
      assert.deepEqual(await onMachine(), []);
      assert.deepEqual(stack.everything(REPOSITORY), []);
    });

    it("leaves nothing after `npm run down`", async () => {
      const { code, output } = await stack.down();
      requireSuccess({ code, output });
      assert.deepEqual(stack.everything(), []);
    });
  });
});
