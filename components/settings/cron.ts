import { type Rule, text } from "./rules";

/** A field of AWS's cron expressions: what its numbers and names may be. */
interface CronField {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Names of the numbers, the first for `from`. */
  readonly names?: readonly string[];
  /** What else it takes, beside `*`, numbers, ranges, lists and steps. */
  readonly other?: RegExp;
  /** Whether AWS knows steps (`/`) there. */
  readonly steps?: boolean;
}

/** https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based */
const FIELDS: readonly CronField[] = [
  { name: "minutes", from: 0, to: 59 },
  { name: "hours", from: 0, to: 23 },
  { name: "day of month", from: 1, to: 31, other: /^(\?|L|LW|([1-9]|[12][0-9]|3[01])W)$/ },
  { name: "month", from: 1, to: 12, names: "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(" ") },
  {
    name: "day of week",
    from: 1,
    to: 7,
    names: "SUN MON TUE WED THU FRI SAT".split(" "),
    other: /^(\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5]))$/,
    steps: false,
  },
  { name: "year", from: 1970, to: 2199 },
];

const EXAMPLE = "cron(0 19 ? * MON-FRI *)";
const WORDS = "minutes, hours, day of month, month, day of week and year";

/** When something happens, in the words of EventBridge Scheduler. */
export const cronExpression: Rule<string> = text({
  allowed: `a cron expression of AWS: cron(…) with six fields, ${WORDS}, of which one of the two days is ?`,
  example: `"${EXAMPLE}"`,
  refuse(value) {
    const inner = /^cron\((.*)\)$/.exec(value)?.[1];
    const fields = (inner ?? value).trim().split(/\s+/);
    if (fields.length === 5) return `add the year, and let one of the two days be ?: ${EXAMPLE}`;
    if (fields.length !== FIELDS.length) return `give six fields, ${WORDS}: ${EXAMPLE}`;
    const [wrong] = FIELDS.map((field, index) => ({ field, given: fields[index] ?? "" })).filter(
      ({ field, given }) => !isField(field, given),
    );
    if (wrong !== undefined) {
      const { name, from, to, names, steps = true } = wrong.field;
      const last = names === undefined ? "" : `, or ${names[0]} to ${names.at(-1)}`;
      const forms = steps ? "lists (,), ranges (-) and steps (/)" : "lists (,) and ranges (-)";
      return `correct the ${name}, ${wrong.given}: numbers from ${from} to ${to}${last}, in ${forms}, or *`;
    }
    if ((fields[2] === "?") === (fields[4] === "?")) {
      return "let just one of day of month and day of week be ?, the one that does not matter";
    }
    return inner === undefined || fields.join(" ") !== inner ? `write cron(${fields.join(" ")})` : undefined;
  },
});

function isField(field: CronField, text: string): boolean {
  if (field.other?.test(text)) return true;
  return text.split(",").every((part) => {
    const [range = "", step, ...more] = part.split("/");
    if (more.length > 0 || (step !== undefined && !isStep(field, step))) return false;
    if (range === "*") return true;
    const ends = range.split("-").map((end) => numberOf(field, end));
    const [first = NaN, last = first] = ends;
    // A week may end with its first day: FRI-SUN.
    return ends.length <= 2 && !ends.includes(NaN) && (first <= last || field.names !== undefined);
  });
}

const isStep = ({ steps = true }: CronField, step: string): boolean =>
  steps && /^[1-9][0-9]{0,3}$/.test(step);

function numberOf({ from, to, names }: CronField, text: string): number {
  const named = names?.indexOf(text) ?? -1;
  if (named >= 0) return from + named;
  const number = /^[0-9]{1,4}$/.test(text) ? Number(text) : NaN;
  return number >= from && number <= to ? number : NaN;
}

/** A time zone of the IANA database, by whose clock the expressions are read. */
export const timeZone: Rule<string> = text({
  allowed: "the name of a time zone in the IANA database",
  example: "Europe/Berlin",
  refuse(value) {
    const known = Intl.supportedValuesOf("timeZone");
    // It also takes names that are out of use, and offsets, which AWS does not.
    if (known.includes(value) || (/^[A-Z]/.test(value) && isTimeZone(value))) return undefined;
    const same = known.find((name) => name.toLowerCase() === value.toLowerCase());
    return same === undefined
      ? "give a name with its region, for example Europe/Berlin, or UTC"
      : `write it as the database does: ${same}`;
  },
});

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    // Case does not matter there.
    return name === "UTC" || /^[A-Z][A-Za-z]+\/[A-Z][\w+-]*(\/[A-Z][\w+-]*)?$/.test(name);
  } catch {
    return false;
  }
}
