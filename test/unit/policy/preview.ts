import { createRequire } from "node:module";

/** Parts of the policy SDK that it does not declare. */
const sdk = createRequire(__filename)("@pulumi/policy/proxy") as {
  unknownCheckingProxy(props: object): object;
  readonly unknownStringValue: string;
};

/** Stands for a value that only an update knows. */
export const LATER = sdk.unknownStringValue;

/** Properties as the SDK passes them in a preview: reading one that is `LATER` throws. */
export const inPreview = (props: object): object => sdk.unknownCheckingProxy(props);
