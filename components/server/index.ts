export { LogLevel, SchedulerRequirement } from "./serverArguments";
export { serverArgs } from "./serverArgs";
export {
  type Endpoints,
  type ServedModelArgs,
  type ServerOptionsArgs,
  TritonServer,
  type TritonServerArgs,
} from "./tritonServer";
