export { digestObjects, type ModelObject, objectLines } from "./objectList";
export { readS3Model, type S3Model } from "./s3Model";
