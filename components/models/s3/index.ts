export { digestObjects, objectLines } from "./objectList";
export { readS3Model, type S3Model } from "./s3Model";
