/** A pod, as far as it says how it is. */
export interface PodStatus {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly status: {
    readonly phase: string;
    /** Of one that has failed as a whole, such as one whose node was short of memory. */
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state?: {
        readonly waiting?: { readonly reason: string; readonly message?: string };
        readonly terminated?: { readonly exitCode: number; readonly message?: string };
      };
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

/** Why a pod has failed that isn't started again, in words: what its containers have left, or else what Kubernetes says. */
export function failureOf({ status }: PodStatus): string {
  const ends = (status.containerStatuses ?? []).flatMap(({ state }) => state?.terminated ?? []);
  const end = ends.find(({ exitCode }) => exitCode !== 0);
  const said = end?.message?.trim() ?? [status.reason, status.message].filter(Boolean).join(": ");
  return said || `exit code ${end?.exitCode ?? "unknown"}`;
}
