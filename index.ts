import { hostMachine, TritonHost } from "./components/host";
import { imageRegistry, runtimeImage } from "./components/image";
import { modelArgs, ModelRepository } from "./components/models";
import { serverArgs, TritonServer } from "./components/server";
import { readSettings } from "./components/settings";

const settings = readSettings(__dirname);
const given = settings.models.map(modelArgs);

const registry = imageRegistry("registry", settings);

const machine = hostMachine("machine", settings, registry?.arn);
const { ssh } = machine;
// What is on a machine goes with it.
const onMachine = { deletedWith: machine.aws?.instance };

const triton = new TritonHost("host", { directory: settings.host.directory, ssh }, onMachine);

const image = runtimeImage("image", settings.runtime, registry);

const repository = new ModelRepository(
  "models",
  { directory: triton.directory, ssh, models: given },
  onMachine,
);

const server = new TritonServer(
  "server",
  { directory: triton.directory, ssh, models: [...repository.models], ...serverArgs(settings, image) },
  onMachine,
);

export const host = triton.location;
export const endpoints = server.endpoints;
export const models = repository.models.map(({ name, priority }) => ({ name, priority }));
export const aws = machine.access;
export const sshPrivateKey = machine.privateKey;
