export { ArgumentCheck } from "./argumentCheck";
export { ArgumentsError } from "./argumentsError";
export {
  awsHostArgument,
  awsHostNow,
  ecrArgument,
  ecrNow,
  modelBucketArgument,
  modelBucketNow,
  monitoringArgument,
  monitoringNow,
} from "./awsArguments";
export {
  deploymentNow,
  hostNow,
  repositoryNow,
  serverNow,
  servicesArgument,
  servicesNow,
} from "./componentArguments";
export { hostDirectory, sshArgument, wantedDirectory } from "./hostArguments";
export {
  anyImageArgument,
  buildArgument,
  imageArgument,
  loginArgument,
  tritonImageNow,
} from "./imageArguments";
export { engineArgument, modelArgument, storedDigest } from "./modelArguments";
export { serverArgument } from "./serverArguments";
