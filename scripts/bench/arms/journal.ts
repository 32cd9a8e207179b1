import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { type ModelConfig } from "../../triton/modelConfig";

/** What a benchmark has to restore, written down before it changes anything. */
export interface JournalEntry {
  /** Triton's address. */
  readonly place: string;
  /** The stack behind it, if known. */
  readonly stack?: string;
  /** The benchmark's process. */
  readonly owner: { readonly pid: number; readonly started: string };
  /** Each model's configuration before the benchmark. */
  readonly configs: Readonly<Record<string, ModelConfig>>;
  /** Each queue's priority before the benchmark, by model where queues have names, otherwise by id. */
  readonly queues: Readonly<Record<string, number>>;
}

/** The journal of one server. It survives the death of the process. */
export class Journal {
  private readonly file: string;

  public constructor(
    private readonly folder: string,
    place: string,
  ) {
    const name = crypto.createHash("sha256").update(place).digest("hex").slice(0, 16);
    this.file = path.join(folder, `${name}.json`);
  }

  public read(): JournalEntry | undefined {
    if (!fs.existsSync(this.file)) return undefined;
    return JSON.parse(fs.readFileSync(this.file, "utf8")) as JournalEntry;
  }

  /** When this returns, the whole entry is on disk. */
  public write(entry: Omit<JournalEntry, "owner">): void {
    fs.mkdirSync(this.folder, { recursive: true });
    const temporary = `${this.file}.${process.pid}`;
    const owner = { pid: process.pid, started: startOf(process.pid) ?? "" };
    const descriptor = fs.openSync(temporary, "w");
    try {
      fs.writeSync(descriptor, JSON.stringify({ ...entry, owner }, undefined, 2));
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(temporary, this.file);
  }

  public remove(): void {
    fs.rmSync(this.file, { force: true });
  }
}

/** Whether the benchmark that wrote an entry is still running. */
export function isRunning({ owner }: JournalEntry): boolean {
  return owner.pid !== process.pid && startOf(owner.pid) === owner.started;
}

/** When a process started, in clock ticks since boot; together with its pid, this identifies it. Undefined if it has ended. */
function startOf(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the name, can itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
