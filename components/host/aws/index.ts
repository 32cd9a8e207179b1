export { type AccessCommands, accessCommands } from "./access";
export {
  AwsGpuHost,
  type AwsGpuHostArgs,
  type AwsVolumeArgs,
  PublicIp,
  type SetUpStepArgs,
} from "./awsGpuHost";
