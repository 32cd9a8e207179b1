import { isIP } from "node:net";

import { mapped, type Rule, text } from "./rules";

/** An address of the host that something listens on. */
export const listenAddress = text({
  allowed: "an IP address of the host, or a name for one",
  example: "127.0.0.1",
  refuse: (value) =>
    isListenAddress(value)
      ? undefined
      : "give the address alone, without scheme and port, for example 127.0.0.1",
});

function isListenAddress(value: string): boolean {
  return /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(value);
}

/** An address that only the host itself can reach. */
export const loopbackAddress: Rule<string> = mapped(listenAddress, (value, at) =>
  isLoopback(value)
    ? value
    : at.fault(
        value,
        "a loopback address: whoever reaches Triton's own ports can crash it, and of releases before 23.12 change what it runs",
        "set it to 127.0.0.1, and let a gateway listen at this address",
      ),
);

/** Whether only the host itself can reach an address. */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(\.\d{1,3}){3}$/.test(address);
}

/** An address that a gateway listens on: its proxy takes no names. */
export const gatewayAddress: Rule<string> = mapped(listenAddress, (value, at) => {
  if (value === "localhost") return "127.0.0.1";
  return isUnfitName(value) ? at.fault(value, ...UNFIT_NAME) : value;
});

/** What is allowed in place of a name, and the fix. */
export const UNFIT_NAME = [
  "an IP address of the host, for the gateway",
  "give the address that the name stands for, or 0.0.0.0 for all",
] as const;

/** Whether something that may be listened on is a name that a gateway cannot listen on. */
export function isUnfitName(address: string): boolean {
  return address !== "localhost" && isListenAddress(address) && isIP(address) === 0;
}
