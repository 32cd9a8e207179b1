export { openBuckets } from "./buckets";
export { encryption } from "./encryption";
