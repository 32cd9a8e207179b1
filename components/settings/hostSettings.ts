import { MOST_MINUTES } from "./awsCostSettings";
import { awsHostFields, checkAwsHost } from "./awsHostSettings";
import { address, directory, localDirectory, user } from "./machine";
import {
  boolean,
  defaulted,
  defaultedBy,
  integer,
  object,
  optional,
  plain,
  required,
  type Rule,
  text,
  variants,
} from "./rules";
import { hostKey, privateKey } from "./sshKeys";

const sshFields = {
  address: required(address, "Host name or IP address."),
  port: defaulted(integer(1, 65535, 22), 22, "TCP port of the SSH server."),
  user: defaulted(
    user,
    "root",
    "User to log in as. Must be allowed to use Docker when Triton runs in a container.",
    { example: "ubuntu" },
  ),
  privateKey: required(privateKey, "Private key of the user, without a passphrase. A secret."),
  hostKey: required(
    hostKey,
    "Public key of the machine, as in a `known_hosts` file without the host name. A machine with another key is refused.",
  ),
};

/** The machine that Triton runs on. */
export const hostRule = variants({
  name: "Host",
  description: "The machine that Triton runs on.",
  allowed: "an object with the kind of host and what that kind needs",
  variants: {
    local: {
      description: "this machine",
      fields: {
        directory: defaultedBy(
          localDirectory,
          (stack) => `.local/hosts/${stack}`,
          "Folder for everything that the deployment puts on this machine, relative to the project. Deleted with the deployment.",
        ),
      },
    },
    ssh: {
      description: "an existing machine, over SSH",
      fields: {
        ...sshFields,
        directory: defaultedBy(
          directory,
          (stack) => `.xsched-triton-${stack}`,
          "Folder for everything that the deployment puts on the machine, relative to the user's home. Deleted with the deployment.",
        ),
      },
    },
    aws: {
      description: "an EC2 instance that the stack creates",
      fields: awsHostFields,
      check: checkAwsHost,
    },
  },
  usual: "local",
});

const machineName = text({
  allowed: "a name that no other machine has",
  example: "i-0123456789abcdef0",
  refuse: (value) => (value === "" ? "give a name, or remove machine" : undefined),
});

const proxyCommand = text({
  allowed: "a command, as OpenSSH's ProxyCommand",
  example:
    "aws ssm start-session --target i-0123456789abcdef0 --document-name AWS-StartSSHSession --parameters portNumber=22",
  refuse: (value) =>
    /^\S/.test(value) && !/[\r\n]/.test(value)
      ? undefined
      : "give a command in one line, or remove proxyCommand",
});

/** How to reach an existing machine over SSH. */
export const sshConnection = object({
  name: "SshConnection",
  description: "How to reach an existing machine over SSH.",
  allowed: "an object that says how to reach the machine over SSH",
  fields: {
    ...sshFields,
    machine: optional(
      machineName,
      "Identifies the machine where its address does not, such as the id of an instance behind an elastic IP. Another name means another machine, on which everything is done anew.",
      "its address and port",
    ),
    proxyCommand: optional(
      proxyCommand,
      "Command of this machine whose input and output lead to the SSH server, as OpenSSH's `ProxyCommand`. OpenSSH's client then connects; `proxied` must be true.",
      "a connection to `address`",
    ),
  },
});

/** A host's folder, as its `TritonHost` gives it. */
export const hostDirectory = text({
  allowed: "the absolute path of a host's folder: directory of a TritonHost",
  example: "/srv/triton",
  refuse: (value) => (value.startsWith("/") ? undefined : "pass directory of the TritonHost"),
});

/** What has to be put right on a host, as `TritonHost` hands it on: tokens by part, as JSON. */
export const hostRepairs = text({
  allowed: "repairs of a TritonHost",
  example: "{}",
  refuse: (given) => (/^\{.*\}$/.test(given) ? undefined : "pass the output repairs of the TritonHost"),
});

/** Known when a program runs, as other resources run commands through a proxy. */
export const proxied = plain(
  optional(
    boolean,
    "Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so either way, and what is on the host is kept.",
    "it has none, and never will",
  ),
);

/** Where something is put on a host that exists. */
export const locationFields = {
  directory: required(hostDirectory, "Absolute path of the host's folder: `directory` of a `TritonHost`."),
  ssh: optional(sshConnection, "The host, when it is not this machine.", "this machine"),
  proxied,
  repairs: optional(
    hostRepairs,
    "What has changed on the host and has to be put right: `repairs` of a `TritonHost`.",
    "what has changed on the host stays",
  ),
};

/** Where a host's folder is to be created. */
export const tritonHostDirectory = (remote: boolean): Rule<string> => (remote ? directory : localDirectory);

/** @param remote whether the host is another machine */
export const tritonHostInputs = (remote: boolean) =>
  object({
    name: "TritonHost",
    description: "What makes a host.",
    allowed: "an object with the arguments of a host",
    fields: {
      directory: defaulted(
        tritonHostDirectory(remote),
        ".xsched-triton",
        "Folder on the host for everything that a deployment puts there. Created with the host and deleted with it. A relative path starts at the program's folder on this machine, at the user's home over SSH.",
      ),
      ssh: locationFields.ssh,
      proxied,
    },
  });

const serviceFields = {
  spot: defaulted(
    boolean,
    false,
    "Whether the host is a spot instance, whose server is drained when AWS takes the instance back.",
  ),
  metrics: defaulted(
    boolean,
    false,
    "Whether the host reports, on port 9464 of its loopback interface, if the server is ready and what the scheduler counts.",
  ),
  idleStop: optional(
    integer(1, MOST_MINUTES, 60),
    "Shut the host down when nobody has asked a model for this long and no work is under way on a GPU.",
    "never",
    { unit: "minutes" },
  ),
  drainAtShutdown: defaulted(
    boolean,
    false,
    "Whether the server is drained before the host shuts down, whoever shuts it down: requests in flight are finished, for at most 100 s.",
  ),
};

/** What runs on a host, wherever that is. */
export const hostServices = object({
  allowed: "an object that says what runs on the host",
  fields: serviceFields,
});

export const hostServicesInputs = object({
  name: "HostServices",
  description: "What runs on a host beside the server.",
  allowed: "an object that says what runs on the host",
  fields: {
    ...locationFields,
    ...serviceFields,
    gateway: plain(
      defaulted(
        boolean,
        false,
        "Whether the host is to have HAProxy, for a `Gateway`. Where it is missing, it is installed from the host's Debian or Ubuntu.",
      ),
    ),
  },
});
