export { documentOf, type Statement } from "./document";
export { openToEveryone, principalsOf } from "./everyone";
export { broadPermissions, type KnownPermissions } from "./permissions";
