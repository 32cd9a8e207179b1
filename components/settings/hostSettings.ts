import { awsHostFields, checkAwsHost } from "./awsHostSettings";
import { encrypted } from "./encrypted";
import { address, directory, localDirectory, user } from "./machine";
import { defaulted, defaultedBy, integer, required, Rule, variants } from "./rules";
import { hostKey, privateKeyText } from "./sshKeys";
import { HostSettings } from "./types";

const PRIVATE_KEY_FIX = "pulumi config set --secret --path xsched-triton:host.privateKey < KEY_FILE";

const privateKeyInConfig = privateKeyText(
  "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
  PRIVATE_KEY_FIX,
);

const privateKey = encrypted(privateKeyInConfig, "a key", PRIVATE_KEY_FIX);

/** The machine that Triton runs on. */
export const hostRule: Rule<HostSettings> = variants(
  "an object with the kind of host and what that kind needs",
  {
    local: {
      description: "this machine",
      fields: {
        directory: defaultedBy(
          localDirectory,
          (stack) => `.local/hosts/${stack}`,
          "Folder for everything that the deployment leaves on this machine; relative to the project. Removed with the deployment.",
        ),
      },
    },
    ssh: {
      description: "a machine that exists, over SSH",
      fields: {
        address: required(address, "Host name or IP address."),
        port: defaulted(integer(1, 65535, 22), 22, "TCP port of its SSH server."),
        user: defaulted(
          user,
          "root",
          "User to log in as; must be allowed to use Docker when the runtime is a container.",
        ),
        privateKey: required(privateKey, "Private key of the user. A secret."),
        hostKey: required(
          hostKey,
          "Public key of the machine, as in a `known_hosts` file without the host name. A machine with another key is refused.",
        ),
        directory: defaultedBy(
          directory,
          (stack) => `.xsched-triton-${stack}`,
          "Folder for everything that the deployment leaves on the machine; relative to the user's home. Removed with the deployment.",
        ),
      },
    },
    aws: { description: "an EC2 instance that the stack makes", fields: awsHostFields, check: checkAwsHost },
  },
  "local",
);
