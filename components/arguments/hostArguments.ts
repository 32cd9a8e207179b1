import { address, directory, localDirectory, user } from "../settings/machine";
import { defaulted, integer, object, optional, required, Rule, text } from "../settings/rules";
import { hostKey, privateKeyText } from "../settings/sshKeys";
import { orLater, orLaterFields } from "./later";

const machineName = text({
  allowed: "a name that another machine does not have",
  example: "i-0123456789abcdef0",
  refuse: (given) => (given === "" ? "give a name, or leave machine out" : undefined),
});

const sshFields = {
  address: required(address, "Host name or IP address."),
  port: defaulted(integer(1, 65535, 22), 22, "TCP port of the SSH server."),
  user: defaulted(user, "root", "User to log in as."),
  privateKey: required(
    privateKeyText(
      "a private key in PEM or OpenSSH form, without a passphrase",
      "give the text of the key's file, from a secret of the stack's config",
    ),
    "Private key of the user.",
  ),
  hostKey: required(hostKey, "Public key of the machine."),
  machine: optional(machineName, "Name of the machine.", "its address"),
};

const SSH = "an object that says how to reach the machine over SSH";

export const sshArgument = object(SSH, sshFields);

/** Absent when the host is this machine. */
const sshNow = optional(orLater(object(SSH, orLaterFields(sshFields))), "The machine.", "this machine");

/** Where a host's folder is to be made. */
export const wantedDirectory = (remote: boolean): Rule<string> => (remote ? directory : localDirectory);

/** A host's folder, as its `TritonHost` gives it. */
export const hostDirectory = text({
  allowed: "the absolute path of a host's folder: directory of a TritonHost",
  example: "/srv/triton",
  refuse: (given) =>
    given.startsWith("/") ? undefined : "give directory of the TritonHost that the models are on",
});

/** What makes a host. */
export const hostFieldsNow = (remote: boolean) => ({
  directory: defaulted(orLater(wantedDirectory(remote)), ".xsched-triton", "Folder on the host."),
  ssh: sshNow,
});

/** Where something is on a host that exists. */
export const locationFieldsNow = {
  directory: required(orLater(hostDirectory), "Folder of the host."),
  ssh: sshNow,
};
