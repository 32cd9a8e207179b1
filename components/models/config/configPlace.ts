import * as path from "node:path";

import { s3Location } from "../../settings";

/** Where a model's own configuration is, for messages. */
export function configPlace(source: string): string {
  return s3Location(source) === undefined ? path.join(source, "config.pbtxt") : `${source}/config.pbtxt`;
}
