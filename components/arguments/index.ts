export { ArgumentCheck } from "./argumentCheck";
export { ArgumentsError } from "./argumentsError";
export { awsHostArgument, awsHostNow, ecrArgument, ecrNow } from "./awsArguments";
export { deploymentNow, hostNow, repositoryNow, serverNow } from "./componentArguments";
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
