import * as assert from "node:assert/strict";

import { parsed, refusal } from "./context";

const source = (given: string): unknown => ({ models: [{ name: "a", source: given }] });

describe("a model's source in S3", () => {
  for (const given of [
    "s3://models-of-team/chat",
    "s3://a.b-c.1/very/deep/prefix",
    "s3://abc/date=2026-11-25/v1.2_(final)",
  ]) {
    it(`can be ${given}`, () => {
      assert.equal(parsed(source(given)).models[0]?.source, given);
      assert.equal(parsed(source(`${given}//`)).models[0]?.source, given);
    });
  }

  const refused: readonly (readonly [given: string, fix: string])[] = [
    ["s3://ab/m", "S3's names have 3 to 63 characters, this one has 2"],
    [`s3://${"a".repeat(64)}/m`, "S3's names have 3 to 63 characters, this one has 64"],
    ["s3://MyBucket/m", "S3's names are in lower case: mybucket"],
    ["s3://my_bucket/m", "use only letters, digits, dots and dashes: my-bucket"],
    ["s3://-bucket/m", "begin and end the name with a letter or a digit"],
    ["s3://bucket-/m", "begin and end the name with a letter or a digit"],
    ["s3://my..bucket/m", "put no two dots beside each other"],
    ["s3://192.168.5.4/m", "a bucket's name does not look like an IP address"],
    ["s3://xn--bucket/m", "S3 keeps names that begin with xn-- for itself"],
    ["s3://bucket-s3alias/m", "S3 keeps names that end with -s3alias for itself"],
    ["s3://bucket--x-s3/m", "S3 keeps names that end with --x-s3 for itself"],
    ["s3://bucket", "name what the model's objects begin with, for example s3://bucket/models/my-model"],
    ["s3://bucket///", "name what the model's objects begin with, for example s3://bucket/models/my-model"],
    ["s3://bucket/a//b", "leave out doubled slashes and the segments . and .."],
    ["s3://bucket/a/../b", "leave out doubled slashes and the segments . and .."],
    ["s3://bucket/all/*", "keep the prefix to 768 letters, digits and ! _ . ' ( ) = + @ , : / -"],
    ["s3://bucket/${aws:username}", "keep the prefix to 768 letters, digits and ! _ . ' ( ) = + @ , : / -"],
    ["S3://bucket/m", "write s3://bucket/prefix, for example s3://my-bucket/models/my-model"],
    ["arn:aws:s3:::bucket/m", "write s3://bucket/prefix, for example s3://my-bucket/models/my-model"],
    [
      "https://bucket.s3.eu-west-1.amazonaws.com/m",
      "write s3://bucket/prefix, for example s3://my-bucket/models/my-model",
    ],
  ];
  for (const [given, fix] of refused) {
    it(`cannot be ${given.slice(0, 40)}`, () => {
      const { faults } = refusal(source(given));
      assert.equal(faults.length, 1);
      assert.equal(faults[0]?.path, "models[0].source");
      assert.equal(faults[0].fix, fix);
      assert.match(
        faults[0].allowed,
        /^s3:\/\/bucket\/prefix with a bucket name .*bucketnamingrules\.html\)$/,
      );
    });
  }
});
