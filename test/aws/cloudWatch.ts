/*
 * How CloudWatch evaluates alarms, minute by minute, as far as a stack's alarms on a stopped instance use it:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm.html
 */

/** A metric alarm with a period of a minute. */
export interface MetricAlarm {
  readonly comparisonOperator: string;
  readonly threshold: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: string;
}

export interface Suppressor {
  /** Seconds. */
  readonly waitPeriod: number;
  readonly extensionPeriod: number;
}

/** A value for each minute; undefined where nothing was sent. */
export type Series = readonly (number | undefined)[];

/** Data points that CloudWatch looks back further than an alarm evaluates, to make up for missing ones. */
const FURTHER_BACK = 2;

function breaches({ comparisonOperator, threshold }: MetricAlarm, value: number): boolean {
  switch (comparisonOperator) {
    case "LessThanThreshold":
      return value < threshold;
    case "GreaterThanOrEqualToThreshold":
      return value >= threshold;
    default:
      throw new Error(`not known here: ${comparisonOperator}`);
  }
}

type State = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** The state of a metric alarm after each minute. */
export function states(alarm: MetricAlarm, series: Series): State[] {
  const { evaluationPeriods, datapointsToAlarm, treatMissingData } = alarm;
  let state: State = "INSUFFICIENT_DATA";
  return series.map((_, minute) => {
    const range = series.slice(Math.max(0, minute + 1 - evaluationPeriods - FURTHER_BACK), minute + 1);
    const real = range.filter((value) => value !== undefined).slice(-evaluationPeriods);
    const filled = Math.min(evaluationPeriods - real.length, minute + 1 - real.length);
    const missing = treatMissingData === "breaching" ? filled : 0;
    const breaching = real.filter((value) => breaches(alarm, value)).length + missing;
    if (treatMissingData === "ignore" && real.length < evaluationPeriods) return state;
    state = breaching >= datapointsToAlarm ? "ALARM" : "OK";
    if (treatMissingData === "missing" && real.length === 0) state = "INSUFFICIENT_DATA";
    return state;
  });
}

/** Whether a metric alarm is in the state ALARM after each minute. */
export const alarmed = (alarm: MetricAlarm, series: Series): boolean[] =>
  states(alarm, series).map((state) => state === "ALARM");

/** The minutes in which an alarm's actions for a state are carried out: it was in another one before. */
export const entered = (wanted: State, after: readonly State[]): number[] =>
  after.flatMap((state, minute) => (state === wanted && after[minute - 1] !== wanted ? [minute] : []));

/** The minutes in which a composite alarm tells people that it has gone off. */
export function told(
  alarm: readonly boolean[],
  suppressed: readonly boolean[],
  suppressor: Suppressor,
): number[] {
  const [wait, extension] = [suppressor.waitPeriod / 60, suppressor.extensionPeriod / 60];
  const minutes: number[] = [];
  /** When it would tell, if nothing keeps it quiet until then; undefined if it has, or has nothing to tell. */
  let due: number | undefined;
  alarm.forEach((on, minute) => {
    const was = alarm[minute - 1] ?? false;
    if (!on) due = undefined;
    else if (!was) due = minute + wait;
    if (on && suppressed[minute]) due = Infinity;
    if (on && due === Infinity && !suppressed[minute]) due = minute + extension;
    if (due !== undefined && minute >= due) {
      minutes.push(minute);
      due = undefined;
    }
  });
  return minutes;
}
