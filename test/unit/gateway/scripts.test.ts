import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const COMPONENTS = path.resolve(__dirname, "../../../components");

const textOf = (name: string): string => fs.readFileSync(path.join(COMPONENTS, name), "utf8");

describe("the scripts of the gateway", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-gateway-"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const program = (name: string, text: string): void => {
    fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
    fs.writeFileSync(path.join(folder, "bin", name), text, { mode: 0o755 });
  };

  describe("that installs HAProxy", () => {
    /** Runs it where these programs are, and no others that it could use. */
    const install = (user = "somebody") => {
      fs.writeFileSync(path.join(folder, "bin/id"), `#!/bin/sh\necho ${user}\n`, { mode: 0o755 });
      // Nothing of this machine: it may have HAProxy.
      const script = textOf("host/install-haproxy.sh").replace(":/usr/sbin:/sbin", "");
      assert.notEqual(script, textOf("host/install-haproxy.sh"));
      return spawnSync("/bin/bash", ["-c", script, "install-haproxy.sh"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: path.join(folder, "bin"), RETRY_SECONDS: "0" },
      });
    };
    const record = '#!/bin/bash\necho "$*" >>"${0%/*}/../calls"\n';

    it("does nothing where it is", () => {
      program("haproxy", "#!/bin/sh\n");
      const { status, stderr } = install();
      assert.deepEqual([status, stderr], [0, ""]);
    });

    /** Runs the words after its own and the environment's. */
    const sudo = '#!/bin/bash\nshift\n[ "$1" != env ] || shift 2\n[ "$1" = true ] || exec "$@"\n';

    it("takes it from the distribution, and stops what the package starts", () => {
      program("sudo", sudo);
      program("apt-get", record);
      program("systemctl", record);
      const { status, stderr } = install();
      assert.equal(status, 0, stderr);
      const calls = fs.readFileSync(path.join(folder, "calls"), "utf8");
      assert.match(calls, /^-qq update$/m);
      assert.match(calls, /^-o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends install haproxy$/m);
      assert.match(calls, /^disable --now haproxy\.service$/m);
    });

    it("needs no sudo as root", () => {
      program("env", '#!/bin/bash\nshift\nexec "$@"\n');
      program("apt-get", record);
      const { status, stderr } = install("0");
      assert.equal(status, 0, stderr);
      assert.match(fs.readFileSync(path.join(folder, "calls"), "utf8"), /^-qq update\n.* install haproxy\n$/);
    });

    // As apt says it, which waits for dpkg's lock alone.
    const locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)";

    /** Refuses to update as often as there are lines in `refusals`. */
    const updates = (refusal: string): string =>
      `${record}folder=\${0%/*}/..\n[[ $* == *update ]] || exit 0\n` +
      `mapfile -t left <"$folder/refusals"\n((\${#left[@]})) || exit 0\n` +
      `printf '%s' "\${left[@]:1}" >"$folder/refusals"\necho '${refusal}' >&2\nexit 100\n`;

    it("waits for another program that reads the lists of packages", () => {
      program("sudo", sudo);
      program("sleep", "#!/bin/sh\n");
      program("apt-get", updates(locked));
      fs.writeFileSync(path.join(folder, "refusals"), "once\nagain");
      const { status, stderr } = install();
      assert.equal(status, 0, stderr);
      const calls = fs.readFileSync(path.join(folder, "calls"), "utf8");
      assert.deepEqual(calls.match(/update$|install haproxy$/gm), [
        ...["update", "update", "update"],
        "install haproxy",
      ]);
    });

    it("does not wait where the lists cannot be had for another reason", () => {
      program("sudo", sudo);
      program("apt-get", updates("E: The repository does not have a Release file."));
      fs.writeFileSync(path.join(folder, "refusals"), "once");
      const { status, stderr } = install();
      assert.equal(status, 1);
      assert.match(stderr, /does not have a Release file\.\nerror: HAProxy cannot be installed/);
      assert.match(fs.readFileSync(path.join(folder, "calls"), "utf8"), /^-qq update\n$/);
    });

    it("says what to do where it cannot", () => {
      program("sudo", "#!/bin/sh\nexit 1\n");
      const without = install();
      assert.equal(without.status, 1);
      assert.match(without.stderr, /no apt-get to install it with\nfix: install HAProxy 2\.4 or newer\n$/);
      program("apt-get", "#!/bin/sh\n");
      const unprivileged = install();
      assert.equal(unprivileged.status, 1);
      assert.match(unprivileged.stderr, /may not use sudo.*\nfix: sudo apt-get install haproxy\n$/);
    });
  });
});
