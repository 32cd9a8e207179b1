import * as fs from "node:fs";

import * as pulumi from "@pulumi/pulumi";

import { FileProbe } from "./context";

/** Shows a message among the others of the deployment. */
export function inform(message: string): void {
  void pulumi.log.info(message);
}

/** The files of the machine that the program runs on. */
export const thisMachine: FileProbe = {
  kind(path) {
    try {
      return fs.statSync(path).isDirectory() ? "folder" : "file";
    } catch {
      return "missing";
    }
  },
  entries(folder) {
    try {
      return fs.readdirSync(folder);
    } catch {
      return [];
    }
  },
  text(file) {
    try {
      return fs.readFileSync(file, "utf8");
    } catch {
      return undefined;
    }
  },
};
