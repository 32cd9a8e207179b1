import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";

/** What a model of it consists of. */
const OBJECTS = ["1/model.onnx", "1/weights.bin"];

const listing = (prefix: string): string => {
  const object = (path: string): string =>
    `<Contents><Key>${prefix}${path}</Key><ETag>"${"0".repeat(32)}"</ETag><Size>1</Size></Contents>`;
  return `<ListBucketResult><IsTruncated>false</IsTruncated>${OBJECTS.map(object).join("")}</ListBucketResult>`;
};

/** While it runs, every bucket has a model at every prefix, for this process: the program asks S3 for a model's objects. */
export async function withModelsInS3<T>(run: () => Promise<T>): Promise<T> {
  const server = http.createServer((request, response) => {
    const prefix = new URL(request.url ?? "/", "http://s3").searchParams.get("prefix");
    if (prefix === null) response.writeHead(400).end();
    else response.writeHead(200, { "content-type": "application/xml" }).end(listing(prefix));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const own = {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: "testing",
    AWS_SECRET_ACCESS_KEY: "testing-secret",
  };
  const former = Object.keys(own).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, own);
  try {
    return await run();
  } finally {
    for (const [name, value] of former) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    server.closeAllConnections();
    server.close();
  }
}
