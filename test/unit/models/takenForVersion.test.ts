import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { configOfFolder } from "../../../components/models";
import { ModelConfigError, refuseTakenForVersion } from "../../../components/models/config";
import { type ModelSettings } from "../../../components/settings";

function refusal(...folders: string[]): string | undefined {
  try {
    refuseTakenForVersion("/models/m", folders);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ModelConfigError);
    return error.message;
  }
}

describe("a folder that Triton takes for a version", () => {
  it("is refused", () => {
    assert.equal(
      refusal("1", "3rdparty"),
      `/models/m/3rdparty: Triton takes a folder whose name begins with a digit for a version: this one for version 3
  fix: let its name begin with a letter, or move it into the version's folder`,
    );
    for (const name of ["2024-data", "02", "2_old", " 5", "+7"]) assert.ok(refusal("1", name), name);
  });

  it("is refused where its number ends the server", () => {
    for (const name of ["9223372036854775808", "20261130155543000000", "99999999999999999999.bak"]) {
      assert.match(refusal("1", name) ?? "", /and ends at one beyond 9223372036854775807\n/);
    }
  });

  it("may have the number of a version, or one below", () => {
    assert.equal(refusal("1", "12", "01", "1_old", "7z", "0", "9223372036854775807"), undefined);
    assert.equal(refusal("1", "config", "v2", "-5", "assets.2"), undefined);
  });

  it("is found in a model's source, where leftovers of tools are none of the model", () => {
    const source = fs.mkdtempSync(path.join(os.tmpdir(), "taken-"));
    const model = { name: "m", source, priority: 0 } as ModelSettings;
    for (const name of ["1", "2~"]) fs.mkdirSync(path.join(source, name));
    assert.match(configOfFolder(model), /^name: "m"\n/);
    fs.writeFileSync(path.join(source, "3.txt"), "");
    assert.match(configOfFolder({ ...model }), /^name: "m"\n/);
    fs.mkdirSync(path.join(source, "3rdparty"));
    assert.throws(() => configOfFolder({ ...model }), /3rdparty: Triton takes a folder/);
    fs.rmSync(source, { recursive: true });
  });
});
