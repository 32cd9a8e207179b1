import { loadScript } from "../scripts";
import { until } from "../until";

const ports = loadScript("ports.mjs") as {
  freePorts: (count: number, places: number, place: number) => Promise<number[]>;
  isFree: (port: number) => Promise<boolean>;
};

/** Processes that run next to this one under `npm test` have other places, and use other ports. */
const PLACES = 16;
const PLACE = Number(process.env.TEST_PLACE ?? 0) % PLACES;

/** Free TCP ports of the loopback interface, which no ephemeral connection takes. */
export const freePorts = (count: number): Promise<number[]> => ports.freePorts(count, PLACES, PLACE);

export const { isFree } = ports;

/** Waits until nobody listens at a port: a process that has ended may give up its sockets a moment later. */
export const untilFree = (port: number): Promise<void> => until(`port ${port} is free`, () => isFree(port));
