export { ArgumentCheck } from "./argumentCheck";
export { ArgumentsError } from "./argumentsError";
export { deploymentNow, hostNow, repositoryNow, serverNow } from "./componentArguments";
export { hostDirectory, sshArgument, wantedDirectory } from "./hostArguments";
export { modelArgument, storedDigest } from "./modelArguments";
export { imageArgument, serverArgument } from "./serverArguments";
