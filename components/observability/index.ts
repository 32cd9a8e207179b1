export { AwsMonitoring, type AwsMonitoringArgs } from "./awsMonitoring";
export { stackMonitoring } from "./stackMonitoring";
