export { digestObjects, type ModelObject } from "./objectList";
export { readS3Model, type S3Model } from "./s3Model";
