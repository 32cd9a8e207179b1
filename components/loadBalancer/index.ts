export { AwsLoadBalancer, type LoadBalancerMetrics, type LoadBalancerNames } from "./awsLoadBalancer";
