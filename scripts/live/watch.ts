import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { type Sample } from "./sample";
import { screen } from "./screen";

export interface WatchOptions {
  /** Seconds between two samples. */
  readonly seconds: number;
  /** How many screens to show; if undefined, until interrupted. */
  readonly screens?: number;
}

const LEAST_SECONDS = 0.5;
const MOST_SECONDS = 3600;

/**
 * @param words `--watch`, `--watch SECONDS` or `--watch=SECONDS`, and `--screens N`
 * @throws UserError that lists what is allowed
 */
export function parseWatch(words: readonly string[]): WatchOptions {
  const [given = ""] = words;
  const rest = words.slice(1);
  let text = given.startsWith("--watch=") ? given.slice("--watch=".length) : undefined;
  if (text === undefined && rest[0] !== undefined && !rest[0].startsWith("-")) text = rest.shift();
  const seconds = text === undefined ? 2 : text.trim() === "" ? NaN : Number(text);
  if (!(seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS)) {
    throw new UserError(
      `--watch is "${text ?? ""}"`,
      `give seconds from ${LEAST_SECONDS} to ${MOST_SECONDS}`,
    );
  }
  if (rest.length === 0) return { seconds };
  const screens = rest[0] === "--screens" && rest.length === 2 ? Number(rest[1]) : NaN;
  if (!Number.isInteger(screens) || screens < 1) {
    throw new UserError(
      `"${rest.join(" ")}" is not understood`,
      "npm run status -- [STACK] --watch [SECONDS] [--screens N]",
    );
  }
  return { seconds, screens };
}

/** Where to show screens. */
export interface Display {
  show(text: string): void;
  end(): void;
}

/** On a terminal, each screen replaces the one before; elsewhere they follow each other. */
export async function display(stream: NodeJS.WriteStream): Promise<Display> {
  if (!stream.isTTY) {
    return {
      show: (text) => stream.write(`${text}\n\n`),
      end: () => undefined,
    };
  }
  const { createLogUpdate } = await loadLogUpdate();
  const update = createLogUpdate(stream);
  return {
    show: (text) => {
      update(text);
    },
    end: () => {
      update.done();
    },
  };
}

/** The compiler turns the import of this ES module into a require, which works since Node.js 20.19. */
function loadLogUpdate(): Promise<typeof import("log-update")> {
  return import("log-update");
}

/** Shows one screen after another, until interrupted. */
export async function watch(
  server: DeployedServer,
  { seconds, screens = Infinity }: WatchOptions,
  shown: Display,
  interrupted: AbortSignal,
): Promise<void> {
  let before: Sample | undefined;
  try {
    for (let count = 0; count < screens; count++) {
      if (count > 0) await pause(seconds * 1000, interrupted);
      if (interrupted.aborted) break;
      const now = sample(server);
      shown.show(screen(server.stack, before, now));
      before = now;
    }
  } finally {
    shown.end();
  }
}

function sample(server: DeployedServer): Sample {
  const finished = server.onHost(["measure"]);
  if (finished.status !== 0) throw UserError.ofHost("measure", finished);
  return JSON.parse(finished.stdout) as Sample;
}

function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    interrupted.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
