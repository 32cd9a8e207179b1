import * as fs from "node:fs";
import * as path from "node:path";

/** Where the instance finds the SSH host key that it is to have. */
export interface UserDataOptions {
  /** Region of the parameter, such as `us-east-1`. */
  readonly region: string;
  /** Name of the parameter that holds the private key. */
  readonly hostKeyParameter: string;
}

const INSTALL_HOST_KEY = fs.readFileSync(path.join(__dirname, "install-host-key.sh"), "utf8");

/**
 * The user data of an instance, for cloud-init. It holds no key: that comes from a parameter, by the instance's role.
 * Everything else is done over SSH, as EC2 stops an instance whose user data changes and starts it again.
 */
export function userData({ region, hostKeyParameter }: UserDataOptions): string {
  const config = {
    // In each boot, before cloud-init makes host keys that are missing and before the SSH server starts.
    bootcmd: [["bash", "-c", INSTALL_HOST_KEY, "install-host-key.sh", region, hostKeyParameter]],
    // The key that is there is the one to keep; of no other kind is there to be one.
    ssh_deletekeys: false,
    ssh_genkeytypes: ["ed25519"],
    ssh: { emit_keys_to_console: false },
    ssh_pwauth: false,
    disable_root: true,
  };
  // JSON is YAML.
  return `#cloud-config\n${JSON.stringify(config, undefined, 1)}\n`;
}
