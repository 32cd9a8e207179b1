import * as fs from "node:fs";

import { FileProbe } from "./context";

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
};
