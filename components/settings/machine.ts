import * as path from "node:path";

import { mapped, Rule, text } from "./rules";

/* Names of a machine, its users and the folders on it. */

export const directory = text({
  allowed: "the path of a folder that belongs to this deployment alone",
  example: ".xsched-triton",
  refuse(value) {
    if (value.startsWith("~")) {
      return "remove ~/: over SSH, a relative path starts at the user's home";
    }
    if (value.trim() !== value || value === "" || value.length > 1024 || /\p{Cc}/u.test(value)) {
      return "give a path without control characters, for example .xsched-triton";
    }
    // The folder is removed with the host, so it must be one that can only belong to this deployment.
    const normal = path.posix.normalize(`${value}/`);
    return normal === "/" || normal === "./" || normal.startsWith("../") || /^\/[^/]+\/$/.test(normal)
      ? "name a folder inside it, for example /var/lib/xsched-triton"
      : undefined;
  },
});

/** As `directory`, absolute, and away from the project's own files. */
export const localDirectory: Rule<string> = mapped(directory, (value, at) => {
  const project = at.context.projectDirectory;
  const absolute = path.resolve(project, value);
  return `${project}/`.startsWith(`${absolute}/`)
    ? at.fault(
        value,
        "a folder that does not contain the project itself",
        "name a separate folder, for example .local/host",
      )
    : absolute;
});

export const address = text({
  allowed: "a host name or an IP address",
  example: "gpu1.example.com",
  refuse(value) {
    if (value.includes("@")) {
      return "put the part before the @ into user";
    }
    if (/^[^:]+:\d+$/.test(value)) {
      return "put the port into port";
    }
    return /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(value)
      ? undefined
      : "give the name or the address alone, for example gpu1.example.com";
  },
});

export const user = text({
  allowed: "the name of a user on the machine",
  example: "root",
  refuse: (value) =>
    /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(value) ? undefined : "give the login name, for example ubuntu",
});
