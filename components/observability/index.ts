export { AwsMonitoring } from "./awsMonitoring";
