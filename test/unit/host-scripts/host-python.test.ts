import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const root = path.resolve(__dirname, "../../..");

/** Runs bash with host-python.sh loaded; redefined functions stand in for the host. */
function bash(script: string): { status: number | null; stdout: string; stderr: string } {
  const load = ["host/scripts/host-directory.sh", "server/scripts/host-python.sh"]
    .map((file) => `. "${path.join(root, "components", file)}"`)
    .join("\n");
  return spawnSync("bash", ["-c", `${load}\n${script}`], { encoding: "utf8" });
}

describe("host-python.sh", function () {
  this.timeout(120_000);
  let staging: string;

  beforeEach(() => {
    staging = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-python-"));
  });

  afterEach(() => {
    fs.rmSync(staging, { recursive: true, force: true });
  });

  const found = `find_host_python '$STAGING'; printf '%s\\n' "$HOST_PYTHON" "$HOST_LIBPYTHON" "\${HOST_PIP[*]}"`;
  const find = (overrides: string) => bash(`${overrides}\n${found.replace("$STAGING", staging)}`);

  it("uses the system's Python if it has everything", () => {
    const { status, stdout } = find("");
    assert.equal(status, 0);
    assert.match(stdout, /^\/.*python3\.\d+\n\/.*libpython3\.\d+\.so\.1\.0\n\/.*-m pip\n$/);
    assert.deepEqual(fs.readdirSync(staging), []);
  });

  it("skips a candidate that is not Python, or too old or too new", () => {
    const odd = path.join(staging, "python3");
    fs.writeFileSync(odd, "#!/bin/sh\nprintf '3.7\\n/x\\ny\\n/z\\n'\n", { mode: 0o755 });
    const { status, stdout } = find(
      `python_candidates() { printf '%s\\n' /bin/false '${odd}' /usr/bin/python3; }`,
    );
    assert.equal(status, 0);
    assert.match(stdout, /^\/usr\/bin\/python3/);
  });

  it("fetches missing libpython and pip without root", function () {
    // Only for Debian and Ubuntu; elsewhere there is only the message below.
    if (spawnSync("sh", ["-c", "apt-cache show libpython3.11 python3-pip-whl"]).status !== 0) this.skip();
    const { status, stdout, stderr } = find(`
      python_candidates() { printf '/usr/bin/python3\\n'; }
      find_libpython() { return 1; }
      find_pip() { return 1; }`);
    assert.equal(status, 0, stderr);
    const [, library = "", pip = ""] = stdout.split("\n");
    assert.ok(library.startsWith(`${staging}/downloads/libpython3.`), library);
    assert.ok(fs.statSync(library).size > 1_000_000);
    assert.match(pip, /^\/usr\/bin\/python3\.\d+ .*\/pip-.*\.whl\/pip$/);
  });

  it("says what to type if nothing helps", () => {
    const { status, stderr } = find(`
      python_candidates() { printf '/usr/bin/python3\\n'; }
      find_libpython() { return 1; }
      download_package() { return 1; }`);
    assert.equal(status, 1);
    assert.match(stderr, /^error: this host has no Python .* with its shared libpython and pip/m);
    assert.match(stderr, /^fix: sudo apt-get install python3 libpython3\.\d+ python3-pip$/m);
    assert.match(
      find("python_candidates() { :; }").stderr,
      /^fix: sudo apt-get install python3 libpython3-dev python3-pip$/m,
    );
  });
});
