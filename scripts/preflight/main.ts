import { readSettings, type Settings, SettingsError, thisMachine } from "../../components/settings";
import { type AccountOptions, awsAccount } from "./account";
import { check, type Fault, type Findings, type RegionalAccount } from "./checks";
import { missingPrograms } from "./programs";
import { type StateResource, type Wanted, wantedOf } from "./wanted";

/** What `pulumi config --json --show-secrets` says of a key. */
export type StackConfig = Readonly<
  Record<string, { readonly value?: string; readonly objectValue?: unknown; readonly secret: boolean }>
>;

export interface PreflightInput {
  readonly stack: string;
  readonly projectDirectory: string;
  readonly config: StackConfig;
  readonly resources: readonly StateResource[];
}

export interface Preflight {
  /** What to print. */
  readonly text: string;
  /** Settings with faults; nothing to ask; AWS can create it; AWS cannot. */
  readonly kind: "settings" | "nothing" | "possible" | "refused";
}

/**
 * Asks AWS whether it can make what a stack lacks.
 *
 * @param connect to the account
 */
export async function preflight(
  input: PreflightInput,
  connect: (options: AccountOptions) => Promise<RegionalAccount> = awsAccount,
): Promise<Preflight> {
  const { stack, config, resources } = input;
  let settings: Settings;
  try {
    settings = settingsOf(input);
  } catch (error) {
    if (error instanceof SettingsError) return { text: error.message.trimEnd(), kind: "settings" };
    throw error;
  }
  if (settings.host.kind !== "aws") {
    return { text: `The stack "${stack}" has no host on AWS, so AWS is not asked.`, kind: "nothing" };
  }
  const wanted = wantedOf(settings, resources);
  const lacking = settings.host.access === "sessionManager" ? missingPrograms() : [];
  if (wanted === undefined && lacking.length > 0) {
    return report(stack, "", { faults: lacking, unknown: [], refused: [] });
  }
  if (wanted === undefined) {
    return {
      text: `The stack "${stack}" has its instance, so nothing new is asked of AWS.`,
      kind: "nothing",
    };
  }
  const answer = await ask(stack, wanted, lacking, optionsOf(config), connect);
  return answer.kind === "possible" && config["aws:maxRetries"] === undefined
    ? { ...answer, text: `${answer.text}\n${remarkOnRetries(stack)}` }
    : answer;
}

/** Pulumi's provider tries 25 times to launch an instance (docs/facts/pulumi.md). */
function remarkOnRetries(stack: string): string {
  return (
    "  aws:maxRetries is not set: if AWS has no capacity at the launch, that is reported after some 50 minutes only\n" +
    `    fix: pulumi config set --stack ${stack} aws:maxRetries 7`
  );
}

function settingsOf({ stack, projectDirectory, config }: PreflightInput): Settings {
  const prefix = "xsched-triton:";
  const own = Object.entries(config).filter(([key]) => key.startsWith(prefix));
  const values = own.map(([key, { value, objectValue }]) => [
    key.slice(prefix.length),
    objectValue ?? parsed(value),
  ]);
  return readSettings(Object.fromEntries(values), {
    origin: "config",
    stack,
    projectDirectory,
    secretKeys: new Set(own.filter(([, { secret }]) => secret).map(([key]) => key.slice(prefix.length))),
    files: thisMachine,
    inform: () => undefined,
  });
}

function parsed(value: string | undefined): unknown {
  try {
    return JSON.parse(value ?? "") as unknown;
  } catch {
    return value;
  }
}

/** Region and profile as Pulumi's provider takes them. */
function optionsOf(config: StackConfig): AccountOptions {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  return {
    region: config["aws:region"]?.value ?? AWS_REGION ?? AWS_DEFAULT_REGION,
    profile: config["aws:profile"]?.value,
  };
}

async function ask(
  stack: string,
  wanted: Wanted,
  lacking: readonly Fault[],
  options: AccountOptions,
  connect: (options: AccountOptions) => Promise<RegionalAccount>,
): Promise<Preflight> {
  let account: RegionalAccount;
  let who: string;
  try {
    account = await connect(options);
    ({ arn: who } = await account.identity());
  } catch (error) {
    return report(stack, "", {
      faults: [...lacking, noAccount(stack, options, error)],
      unknown: [],
      refused: [],
    });
  }
  const { faults, ...others } = await check(wanted, account);
  return report(stack, ` for ${who} in ${account.region}`, { faults: [...lacking, ...faults], ...others });
}

/** Why AWS cannot be asked at all. */
function noAccount(stack: string, { region, profile }: AccountOptions, error: unknown): Fault {
  const { name, message, code } = error as Error & { code?: string };
  if (/region is missing/i.test(message)) {
    return { what: "no region is set", fix: `pulumi config set --stack ${stack} aws:region us-east-1` };
  }
  if (name === "CredentialsProviderError") {
    return {
      what: `this machine has no AWS credentials${profile === undefined ? "" : ` for the profile ${profile}`}: ${message.split("\n")[0]}`,
      fix: "aws configure, aws sso login, or set AWS_PROFILE or aws:profile",
    };
  }
  if (name.startsWith("Expired")) {
    return { what: "the AWS credentials of this machine have expired", fix: "aws sso login, or renew them" };
  }
  if (/^(InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|AuthFailure)$/.test(name)) {
    return {
      what: `AWS does not accept the credentials of this machine in ${region} (${name})`,
      fix: `correct AWS_PROFILE or the keys; if the region is an opt-in one: aws account enable-region --region-name ${region}`,
    };
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return {
      what: `AWS does not answer in the region ${region} (${code})`,
      fix: `correct the region: pulumi config set --stack ${stack} aws:region us-east-1; or check the network`,
    };
  }
  return {
    what: `AWS cannot be asked: ${name}: ${message.split("\n")[0]}`,
    fix: "aws sts get-caller-identity shows the same; check network and proxy",
  };
}

function report(stack: string, where: string, { faults, unknown, refused }: Findings): Preflight {
  const notes = [
    ...refused.map((each) => `  one choice less: ${each}`),
    ...unknown.map((each) => `  not checked: ${each}`),
  ];
  if (faults.length === 0) {
    return { text: [`AWS can create the stack "${stack}"${where}.`, ...notes].join("\n"), kind: "possible" };
  }
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  const lines = faults.map(({ what, fix }) => `  ${what}\n    fix: ${fix}`);
  return {
    text: [
      `${count} on AWS${where} for the stack "${stack}"; nothing was created.`,
      "",
      ...lines,
      ...notes,
    ].join("\n"),
    kind: "refused",
  };
}
