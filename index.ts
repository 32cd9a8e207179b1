import { hostMachine, readyDirectory, TritonHost } from "./components/host";
import { imageRegistry, runtimeImage } from "./components/image";
import { modelAccess, modelArgs, modelBucket, ModelRepository } from "./components/models";
import { stackMonitoring } from "./components/observability";
import { outputsOf } from "./components/outputs";
import { serverArgs, TritonServer } from "./components/server";
import { readSettings } from "./components/settings";

const settings = readSettings(__dirname);
const bucket = modelBucket("model-files", settings);
const given = settings.models.map((model) => modelArgs(model, bucket));

const registry = imageRegistry("registry", settings);

const machine = hostMachine("machine", settings, registry?.arn, modelAccess(given));
const { ssh } = machine;
// What is on a machine goes with it.
const onMachine = { deletedWith: machine.aws?.instance };

const triton = new TritonHost("host", { directory: settings.host.directory, ssh }, onMachine);

const directory = readyDirectory("services", settings, triton.directory, ssh, onMachine);

const image = runtimeImage("image", settings.runtime, registry);

const repository = new ModelRepository("models", { directory, ssh, models: given }, onMachine);

const server = new TritonServer(
  "server",
  { directory, ssh, models: [...repository.models], ...serverArgs(settings, image) },
  onMachine,
);

const monitoring = stackMonitoring("monitoring", settings, machine, directory, onMachine);

export = outputsOf({
  host: triton.location,
  endpoints: server.endpoints,
  models: repository.models.map(({ name, priority }) => ({ name, priority })),
  aws: machine.access,
  dashboard: monitoring?.dashboardName,
  sshPrivateKey: machine.privateKey,
});
