export { policyDocument, type PolicyStatement, type PolicyStatementArgs } from "./policyStatement";
export { sdk } from "./sdk";
export { type Tags, tagsOf } from "./tags";
