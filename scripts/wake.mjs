// `npm run wake -- STACK`: starts the instance of a stack that has stopped, and waits until its models serve again.
import { awaitServing, lookAtHost, wake } from "./await-serving.mjs";
import { showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { printServer } from "./server-status.mjs";
import { stackOutputs } from "./stack-host.mjs";
import { openStack, ROOT, UsageError } from "./stack-target.mjs";

async function main([name, ...rest]) {
  if (name === undefined || name.startsWith("-") || rest.length > 0) {
    throw new UsageError("Name the stack: npm run wake -- STACK");
  }
  installPackages(ROOT);
  if (name === "local")
    throw new UsageError('The stack "local" has no instance on AWS, so there is nothing to start.');
  const stack = await openStack(name);
  const outputs = stackOutputs(stack);
  if (outputs.host === undefined) {
    throw new UsageError(`The stack "${name}" is not deployed.\nfix: npm run up -- ${name}`);
  }
  if (outputs.aws?.instanceId === undefined) {
    throw new UsageError(`The stack "${name}" has no instance on AWS, so there is nothing to start.`);
  }
  const say = (text) => console.error(text);
  const woken = await wake(stack, outputs, say);
  if (woken === undefined) say(`The instance ${outputs.aws.instanceId} runs already.`);
  const { server, problem, healthy } =
    woken ?? (await awaitServing(outputs, () => lookAtHost(stack, outputs), say));
  if (server === undefined) {
    throw new UsageError(
      problem === undefined
        ? `${outputs.aws.instanceId} runs, but its SSH server does not answer.\nfix: ${outputs.aws.session}`
        : `${outputs.aws.instanceId} runs, but does not say what it serves: ${problem}\nfix: npm run up -- ${name}`,
    );
  }
  printServer({ ...server, outputs }, stack);
  return healthy ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    showError(error);
  }
}
