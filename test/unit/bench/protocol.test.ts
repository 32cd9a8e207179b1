import * as assert from "node:assert/strict";

import * as grpc from "@grpc/grpc-js";

import { connect } from "../../../scripts/bench/protocol/connection";
import { inferMethod, inferRequest } from "../../../scripts/bench/protocol/grpc";
import { ones } from "../../../scripts/bench/protocol/tensors";

describe("the inputs of a load", () => {
  it("are filled with ones, in each data type", () => {
    const data = (datatype: string): Buffer => ones({ name: "X", datatype, shape: [] }, [2]).data;
    assert.deepEqual([...data("BOOL")], [1, 1]);
    assert.deepEqual([...data("INT8")], [1, 1]);
    assert.equal(data("INT16").readInt16LE(2), 1);
    assert.equal(data("UINT32").readUInt32LE(4), 1);
    assert.equal(data("INT64").readBigInt64LE(8), 1n);
    assert.equal(data("FP32").readFloatLE(4), 1);
    assert.equal(data("FP64").readDoubleLE(8), 1);
    // Sign 0, exponent 15 of bias 15, mantissa 0; a BF16 is the upper half of an FP32.
    assert.equal(data("FP16").readUInt16LE(2), 15 << 10);
    assert.equal(Buffer.concat([Buffer.alloc(2), data("BF16").subarray(2)]).readFloatLE(0), 1);
    assert.deepEqual([...data("BYTES")], [1, 0, 0, 0, 49, 1, 0, 0, 0, 49]);
    assert.throws(() => data("FP4"), /unknown data type FP4/);
  });

  it("have as many elements as their shape", () => {
    assert.equal(ones({ name: "X", datatype: "INT32", shape: [-1, 384] }, [3, 384]).data.length, 3 * 384 * 4);
    assert.equal(ones({ name: "X", datatype: "FP32", shape: [] }, []).data.length, 4);
  });
});

describe("a load over gRPC", () => {
  it("sends ModelInfer with raw tensors, and reports refusals", async () => {
    const method = inferMethod();
    const asked: unknown[] = [];
    const server = new grpc.Server();
    server.addService(
      { ModelInfer: method },
      {
        ModelInfer: (call: { request: { model_name: string } }, done: grpc.sendUnaryData<object>) => {
          asked.push(call.request);
          if (call.request.model_name === "m") done(null, { model_name: "m" });
          else done({ code: grpc.status.NOT_FOUND, details: "no such model" });
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    try {
      const inputs = [ones({ name: "X", datatype: "INT32", shape: [] }, [1, 2])];
      const send = async (model: string): Promise<string | undefined> => {
        const connection = connect({
          protocol: "grpc",
          address: `127.0.0.1:${port}`,
          model,
          inputs,
          timeoutMs: 5000,
        });
        try {
          return await new Promise((resolve) => {
            connection.send(resolve);
          });
        } finally {
          await connection.close();
        }
      };
      assert.equal(await send("m"), undefined);
      assert.deepEqual(asked[0], inferRequest("m", inputs));
      assert.equal(await send("n"), "gRPC status 5: no such model");
    } finally {
      server.forceShutdown();
    }
  });
});
