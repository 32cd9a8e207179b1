/** A pod, as far as it says how it is. */
export interface PodStatus {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state?: { readonly waiting?: { readonly reason: string; readonly message?: string } };
    }[];
  };
}

/** What a pod does, in words: `ready`, or what it waits for. */
export function stateOf({ metadata, status }: PodStatus): string {
  if (metadata.deletionTimestamp !== undefined) return "ending";
  if (status.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True"))
    return "ready";
  const waiting = status.containerStatuses?.find(({ state }) => state?.waiting !== undefined)?.state?.waiting;
  const scheduled = status.conditions?.some(
    ({ type, status: holds }) => type === "PodScheduled" && holds === "True",
  );
  if (scheduled !== true) return "waits for a node";
  return waiting === undefined
    ? "not ready"
    : `${waiting.reason}${waiting.message ? `: ${waiting.message}` : ""}`;
}
