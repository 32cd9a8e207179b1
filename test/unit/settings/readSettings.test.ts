import assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";
import * as fc from "fast-check";

import { DataType, LogLevel } from "../../../components/settings";
import { Fields, isPlainObject, Rule } from "../../../components/settings/rules";
import { stackRule, TOP_LEVEL_KEYS } from "../../../components/settings/schema";
import { HOST_KEY, IMAGE, opensshKey, parsed, refusal, SSH } from "./context";
import { runs } from "../../properties";

describe("readSettings", () => {
  it("fills an empty config with defaults", () => {
    assert.deepEqual(parsed({}), {
      host: { kind: "local", directory: "/project/.local/hosts/dev" },
      runtime: { kind: "process" },
      server: {
        httpPort: 8000,
        grpcPort: 8001,
        metricsPort: 8002,
        address: "127.0.0.1",
        logLevel: "info",
        exitTimeoutSeconds: 30,
        logMegabytes: 20,
        loadTimeoutSeconds: 300,
        extraFlags: [],
      },
      gateway: {
        enabled: undefined,
        tls: undefined,
        certificateFile: undefined,
        keyFile: undefined,
        certificate: undefined,
        key: undefined,
        clientCaFile: undefined,
        clientCa: undefined,
        tokens: [],
        metrics: false,
        limits: {
          bodyMegabytes: 64,
          jsonKilobytes: 1024,
          headerKilobytes: 16,
          connections: 1000,
          requestSeconds: 300,
        },
        upstreamPorts: { http: 18000, grpc: 18001, metrics: 18002 },
        accessLog: true,
        uncheckedStreams: false,
      },
      scheduler: { domain: undefined, required: undefined },
      models: [],
      monitoring: { kind: "none" },
    });
  });

  it("accepts a host over SSH, with its private key as a secret", async () => {
    const { host } = parsed({ host: { ...SSH, hostKey: `${HOST_KEY} root@gpu1` } });
    assert.ok(host.kind === "ssh");
    assert.ok(await pulumi.isSecret(host.privateKey));
    assert.deepEqual(
      { ...host, privateKey: undefined },
      {
        kind: "ssh",
        address: "gpu1",
        port: 22,
        user: "root",
        directory: ".xsched-triton-dev",
        hostKey: HOST_KEY,
        privateKey: undefined,
      },
    );
  });

  it("accepts a private key whose lines end as on Windows", async () => {
    const key = opensshKey("none");
    const { host } = parsed({ host: { ...SSH, privateKey: key.replaceAll("\n", "\r\n") } });
    assert.ok(host.kind === "ssh");
    const [read, secret] = await Promise.all([
      new Promise((resolve) => host.privateKey.apply(resolve)),
      pulumi.isSecret(host.privateKey),
    ]);
    assert.deepEqual([read, secret], [key, true]);
  });

  it("lets the runtime decide whether the scheduler is required, unless the config does", () => {
    const container = { kind: "container", image: IMAGE };
    assert.equal(parsed({ runtime: container }).scheduler.required, undefined);
    assert.equal(parsed({ runtime: container, scheduler: { required: true } }).scheduler.required, true);
    assert.equal(parsed({ scheduler: { required: false } }).scheduler.required, false);
  });

  it("accepts priorities by number and by name", () => {
    const priorities = ["max", 255, 40, 0, -0, "default", -255, "min"];
    const models = priorities.map((priority, index) => ({ name: `m${index}`, source: "models/a", priority }));
    assert.deepEqual(
      parsed({ models }).models.map(({ priority }) => priority),
      [255, 255, 40, 0, 0, 0, -255, -255],
    );
  });

  it("accepts every option of a model", () => {
    const model = {
      name: "resnet-50_v1.5",
      source: "/project/models/x",
      upload: "ssh",
      allowOutsideLinks: true,
      priority: 40,
      floor: 20,
      weight: 3,
      config: "max_batch_size: 8",
      dependsOn: [],
      engine: {
        precision: "best",
        shapes: [{ input: "input_ids:0", min: [1, 384], opt: [1, 384], max: [8, 384] }],
        workspaceMiB: 1024,
        builder: "nvcr.io/nvidia/tensorrt:22.07-py3",
        shared: "s3://team/engines",
      },
      versionPolicy: { kind: "specific", versions: [1, 3] },
      instanceGroups: [
        {
          name: "fast",
          kind: "gpu",
          count: 2,
          gpus: [0, 1],
          rateLimiter: { resources: [{ name: "R", global: true, count: 4 }], priority: 2 },
        },
      ],
      dynamicBatching: {
        preferredBatchSizes: [4, 8],
        maxQueueDelayMicroseconds: 100,
        preserveOrdering: true,
        priorityLevels: 2,
        defaultPriorityLevel: 2,
        queuePolicy: {
          timeoutAction: "delay",
          defaultTimeoutMicroseconds: 10,
          allowTimeoutOverride: true,
          maxQueueSize: 0,
        },
      },
      warmup: [
        {
          name: "w",
          batchSize: 1,
          inputs: [
            { name: "a", dataType: "FP32", dims: [3, 224], content: { kind: "random" } },
            { name: "b", dataType: "STRING", dims: [1], content: { kind: "file", file: "b.bin" } },
          ],
        },
      ],
      parameters: { text: "x\ny", whole: 3, flag: false, ["__proto__"]: "odd" },
    };
    const { models } = parsed({
      runtime: { kind: "container", image: IMAGE },
      server: { extraFlags: ["--rate-limit=execution_count"] },
      models: [model],
    });
    assert.deepEqual(models, [
      {
        ...model,
        parameters: {
          text: "x\ny",
          whole: "3",
          flag: "false",
          ["__proto__"]: "odd",
        },
      },
    ]);
  });

  it("accepts floors up to what each GPU has to share out", () => {
    const models = [
      { name: "a", source: "models/a", floor: 50, instanceGroups: [{ gpus: [0] }] },
      { name: "b", source: "models/a", floor: 50, instanceGroups: [{ gpus: [1] }] },
      { name: "c", source: "models/a", floor: 40 },
      { name: "d", source: "models/a", floor: 50, instanceGroups: [{ kind: "cpu" }] },
      // By its own configuration.
      {
        name: "e",
        source: "models/a",
        floor: 50,
        config: "instance_group [ { kind: KIND_GPU gpus: [ 2 ] }, { kind: KIND_CPU } ]",
      },
      { name: "f", source: "models/a", floor: 50, config: "instance_group { kind: KIND_CPU count: 2 }" },
    ];
    const settings = parsed({ runtime: { kind: "container", image: IMAGE }, models });
    assert.deepEqual(
      settings.models.map(({ floor }) => floor),
      [50, 50, 40, 50, 50, 50],
    );
    assert.equal(parsed({ models: [{ name: "a", source: "models/a" }] }).models[0]?.floor, 0);
  });

  it("freezes its result", () => {
    const settings = parsed({ models: [{ name: "a", source: "models/a", instanceGroups: [{ gpus: [] }] }] });
    const everything: unknown[] = [settings];
    for (const value of everything) {
      if (typeof value === "object" && value !== null) {
        assert.ok(Object.isFrozen(value));
        everything.push(...(Object.values(value) as unknown[]));
      }
    }
  });

  it("accepts its own result unchanged", () => {
    const settings = parsed({ models: [{ name: "a", source: "models/a", priority: "max" }] });
    assert.equal(parsed(settings), settings);
    assert.equal(parsed({ ...settings }).models, settings.models);
  });

  describe("with generated config", () => {
    const garbage = fc.oneof(
      { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 5 }) },
      fc.anything({
        withNullPrototype: true,
        withDate: true,
        withBigInt: true,
        withSparseArray: true,
        withMap: true,
      }),
    );

    it("ends in settings or in the settings error, whatever the input", () => {
      fc.assert(fc.property(garbage, endsWell), { numRuns: runs(500) });
    });

    it("ends in settings or in the settings error if known keys contain garbage", () => {
      const config = (rule: Rule<unknown, unknown>): fc.Arbitrary<unknown> => {
        const { inside } = rule;
        const like = ((): fc.Arbitrary<unknown> => {
          switch (inside?.kind) {
            case undefined:
            case "names":
            case "map":
            case "union":
            case "secret":
              return rule.type === "integer" ? fc.oneof(fc.integer(), fc.double()) : fc.string();
            case "items":
              return fc.array(config(inside.item), { maxLength: 3 });
            case "fields":
              return fields(inside.fields);
            case "variants":
              return fc.oneof(
                ...Object.entries(inside.variants).map(([kind, variant]) =>
                  fc
                    .tuple(fc.constantFrom(kind, "kind", ""), fields(variant.fields))
                    .map(([given, rest]) => ({
                      kind: given,
                      ...rest,
                    })),
                ),
              );
          }
        })();
        return fc.oneof(
          { weight: 6, arbitrary: like },
          { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
        );
      };
      const fields = (table: Fields): fc.Arbitrary<object> =>
        fc.record(
          Object.fromEntries(Object.entries(table).map(([key, field]) => [key, config(field.rule)])),
          {
            requiredKeys: [],
          },
        );
      fc.assert(fc.property(config(stackRule), endsWell), { numRuns: runs(1000) });
    });

    it("reports every unknown key at its place", () => {
      const places: readonly (readonly [string, (extra: object) => unknown])[] = [
        ["", (extra) => ({ ...extra })],
        ["host.", (extra) => ({ host: extra })],
        ["server.", (extra) => ({ server: extra })],
        ["gateway.", (extra) => ({ gateway: extra })],
        ["models[0].", (extra) => ({ models: [{ name: "a", source: "models/a", ...extra }] })],
        [
          "models[0].dynamicBatching.queuePolicy.",
          (extra) => ({
            models: [{ name: "a", source: "models/a", dynamicBatching: { queuePolicy: extra } }],
          }),
        ],
      ];
      const unknownKey = fc
        .oneof(
          fc.stringMatching(/^[a-z]{1,12}$/),
          fc.constantFrom("constructor", "toString", "hasOwnProperty"),
        )
        .filter((key) => !["host", "kind", "name", "source", "models", "server"].includes(key))
        .filter(
          (key) =>
            !(key in { user: 0, port: 0, address: 0, priority: 0, warmup: 0, runtime: 0, scheduler: 0 }),
        )
        .filter((key) => !["parameters", "directory", "gateway", "key", "tls"].includes(key));
      fc.assert(
        fc.property(fc.constantFrom(...places), unknownKey, garbage, ([prefix, config], key, value) => {
          const { faults } = refusal(config({ [key]: value }));
          assert.deepEqual(
            faults.map(({ path, value: shown }) => [path, shown]),
            [[`${prefix}${key}`, "(unknown key)"]],
          );
        }),
      );
    });

    it("refuses keys that reach for a prototype", () => {
      for (const text of ['{"__proto__":{"models":[]}}', '{"host":{"__proto__":{"kind":"ssh"}}}']) {
        assert.match(refusal(JSON.parse(text)).message, /__proto__: \(unknown key\)/);
      }
      assert.equal(({} as { models?: unknown }).models, undefined);
    });

    it("reports every wrong number", () => {
      const number = fc.oneof(
        fc.double(),
        fc.maxSafeInteger(),
        fc.constantFrom(NaN, Infinity, -Infinity, -0, 1e300),
      );
      fc.assert(
        fc.property(number, (value) => {
          const raw = { models: [{ name: "a", source: "models/a", priority: value }] };
          if (Number.isInteger(value) && Math.abs(value) <= 255) {
            assert.equal(parsed(raw).models[0]?.priority, value + 0);
          } else {
            assert.equal(refusal(raw).faults[0]?.path, "models[0].priority");
          }
        }),
      );
    });

    it("keeps every value that it accepts", () => {
      const port = fc.integer({ min: 1, max: 65000 });
      const server = fc
        .record(
          {
            httpPort: port,
            grpcPort: port,
            metricsPort: port,
            address: fc.oneof(fc.ipV4(), fc.ipV6()),
            logLevel: fc.constantFrom(...Object.values(LogLevel)),
            exitTimeoutSeconds: fc.integer({ min: 0, max: 3600 }),
            logMegabytes: fc.integer({ min: 1, max: 10000 }),
            loadTimeoutSeconds: fc.integer({ min: 1, max: 86400 }),
            extraFlags: fc.array(fc.stringMatching(/^--[a-z]{3}-x=[ -~]{0,20}$/), { maxLength: 3 }),
          },
          { requiredKeys: [] },
        )
        .filter(({ httpPort = 8000, grpcPort = 8001, metricsPort = 8002 }) =>
          [httpPort, grpcPort, metricsPort].every((each, index, all) => all.indexOf(each) === index),
        );
      const count = fc.integer({ min: 1, max: 1000 });
      const model = fc.record(
        {
          name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/),
          source: fc.constantFrom("/project/models/a", "/project/models/b"),
          priority: fc.integer({ min: -255, max: 255 }),
          floor: fc.integer({ min: 0, max: 11 }),
          versionPolicy: fc.oneof(
            fc.record({ kind: fc.constant("latest"), count }),
            fc.record({ kind: fc.constant("all") }),
            fc.record({
              kind: fc.constant("specific"),
              versions: fc.uniqueArray(count, { minLength: 1, maxLength: 4 }),
            }),
          ),
          instanceGroups: fc.array(
            fc.record({ kind: fc.constantFrom("cpu", "auto", "model"), count }, { requiredKeys: [] }),
            { minLength: 1, maxLength: 3 },
          ),
          dynamicBatching: fc.record(
            { maxQueueDelayMicroseconds: count, preserveOrdering: fc.boolean() },
            { requiredKeys: [] },
          ),
          warmup: fc.uniqueArray(
            fc.record({
              name: fc.stringMatching(/^[a-z]{1,8}$/),
              inputs: fc.tuple(
                fc.record({
                  name: fc.stringMatching(/^[A-Z]{1,8}$/),
                  dataType: fc.constantFrom(...Object.values(DataType)),
                  dims: fc.array(count, { maxLength: 4 }),
                }),
              ),
            }),
            { maxLength: 3, selector: ({ name }) => name },
          ),
        },
        { requiredKeys: ["name", "source"] },
      );
      const gateway = fc.record({
        tls: fc.constantFrom("off", "selfSigned"),
        enabled: fc.constant(true),
        // Above the ports of the server.
        upstreamPorts: fc.constant({ http: 65536 - 3, grpc: 65536 - 2, metrics: 65536 - 1 }),
        limits: fc.record({ bodyMegabytes: fc.integer({ min: 1, max: 4096 }) }, { requiredKeys: [] }),
        metrics: fc.boolean(),
      });
      const config = fc.record(
        { server, gateway, models: fc.uniqueArray(model, { maxLength: 4, selector: ({ name }) => name }) },
        { requiredKeys: ["gateway"] },
      );
      fc.assert(
        fc.property(config, (raw) => {
          assertHolds(parsed(raw), raw);
        }),
        { numRuns: runs(300) },
      );
    });
  });
});

function endsWell(raw: unknown): void {
  let settings: unknown;
  try {
    settings = parsed(raw);
  } catch (error) {
    assert.ok(pulumi.RunError.isInstance(error), String(error));
    const { faults } = error as unknown as ReturnType<typeof refusal>;
    assert.ok(faults.length > 0);
    for (const fault of faults) {
      assert.ok(
        Object.values(fault).every(
          (text) => typeof text === "string" && (text !== "" || text === fault.path),
        ),
      );
      assert.doesNotMatch(error.message, /undefined|\[object/);
    }
    return;
  }
  // Accepted config has only known keys.
  assert.ok(isPlainObject(raw));
  assert.ok(Object.keys(raw).every((key) => Object.hasOwn(TOP_LEVEL_KEYS, key)));
  assert.ok(settings);
}

/** Everything in the config is in the settings, at the same place. */
function assertHolds(actual: unknown, raw: unknown): void {
  if (Array.isArray(raw)) {
    assert.ok(Array.isArray(actual) && actual.length === raw.length);
    raw.forEach((each, index) => {
      assertHolds(actual[index], each);
    });
  } else if (typeof raw === "object" && raw !== null) {
    for (const [key, value] of Object.entries(raw)) {
      assertHolds((actual as Record<string, unknown>)[key], value);
    }
  } else {
    assert.equal(actual, raw);
  }
}
