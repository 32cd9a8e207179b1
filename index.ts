import { sshConnection, TritonHost } from "./components/host";
import { runtimeImage } from "./components/image";
import { modelArgs, ModelRepository } from "./components/models";
import { serverArgs, TritonServer } from "./components/server";
import { readSettings } from "./components/settings";

const settings = readSettings(__dirname);
const ssh = sshConnection(settings.host);
const given = settings.models.map(modelArgs);

const triton = new TritonHost("host", { directory: settings.host.directory, ssh });

const image = runtimeImage("image", settings.runtime);

const repository = new ModelRepository("models", {
  directory: triton.directory,
  ssh,
  models: given,
});

const server = new TritonServer("server", {
  directory: triton.directory,
  ssh,
  models: [...repository.models],
  ...serverArgs(settings, image),
});

export const host = triton.location;
export const endpoints = server.endpoints;
export const models = repository.models.map(({ name, priority }) => ({ name, priority }));
