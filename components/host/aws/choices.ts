/** How an instance can be had: each is one attempt. */
export interface Choice {
  /** EC2 instance type. */
  readonly instanceType: string;
  /** Name of the availability zone; undefined for any zone, or that of the subnet. */
  readonly zone?: string | undefined;
  /** Whether on spare capacity; on demand otherwise. */
  readonly spot: boolean;
}

/** The settings that say where an instance may be launched. */
export interface Preferences {
  readonly instanceType?: string | undefined;
  readonly instanceTypes?: readonly string[] | undefined;
  readonly zone?: string | undefined;
  readonly zones?: readonly string[] | undefined;
  readonly spot: boolean;
  readonly onDemandFallback: boolean;
}

/** Whether there is anything to choose: the keys must be known when the component is constructed. */
export function isToBeChosen({
  instanceTypes,
  zones,
  onDemandFallback,
}: Pick<Preferences, "instanceTypes" | "zones" | "onDemandFallback">): boolean {
  return instanceTypes !== undefined || zones !== undefined || onDemandFallback;
}

/** All choices, the preferred one first: spot before on demand, then by type, then by zone. */
export function choicesOf(preferences: Preferences): readonly [Choice, ...Choice[]] {
  const { instanceType = "", zone, spot, onDemandFallback } = preferences;
  const { instanceTypes = [instanceType], zones = [zone] } = preferences;
  const markets = spot && onDemandFallback ? [true, false] : [spot];
  const choices = markets.flatMap((onSpot) =>
    instanceTypes.flatMap((type) =>
      zones.map((name): Choice => ({
        instanceType: type,
        ...(name !== undefined && { zone: name }),
        spot: onSpot,
      })),
    ),
  );
  return choices as [Choice, ...Choice[]];
}

/** Whether an instance is where one of the choices allows it to be. */
export function isAllowed({ instanceType, zone, spot }: Choice, choices: readonly Choice[]): boolean {
  return choices.some(
    (choice) =>
      choice.instanceType === instanceType &&
      choice.spot === spot &&
      (choice.zone === undefined || choice.zone === zone),
  );
}
