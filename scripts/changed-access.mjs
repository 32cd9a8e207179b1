// What runs on an instance when its `access` changes (components/host/overSsh.ts).

const REMOTE = "command:remote:Command";
const LOCAL = "command:local:Command";

/** In place of a connection, without which Pulumi's command provider does not read a state. Nothing connects to it. */
const NOWHERE = "changed-by-npm-run-up.invalid";

/** What only the connection of one of the types has, and the way to undo a command, which is that of the former connection. */
const FORMER = { [REMOTE]: ["connection", "delete"], [LOCAL]: ["environment", "interpreter", "delete"] };

/**
 * A stack's state in which every command on its instance is of the type that the access takes, or undefined if it is. To Pulumi,
 * another type is another resource: the new one would be created, and then the old one removed, which stops the server. The
 * next `up` changes them in place instead, and runs each once more. Until it has, none of them can be undone, so one that is
 * removed by the same `up` leaves its files on the instance.
 */
export function stateForAccess(state, access) {
  const resources = state.deployment.resources ?? [];
  if (!resources.some(({ type }) => type === "xsched-triton:index:AwsGpuHost")) return undefined;
  const [from, to] = access === "sessionManager" ? [REMOTE, LOCAL] : [LOCAL, REMOTE];
  const changing = resources.filter(
    (resource) => resource.type === from && !resource.delete && (from === REMOTE || isThroughProxy(resource)),
  );
  if (changing.length === 0) return undefined;
  const urns = new Map(changing.map(({ urn }) => [urn, urn.replace(`${from}::`, `${to}::`)]));
  const renamed = JSON.parse(JSON.stringify(state), (_, value) => urns.get(value) ?? value);
  const others = new Set(urns.values());
  for (const resource of renamed.deployment.resources) {
    if (!others.has(resource.urn)) continue;
    resource.type = to;
    for (const key of FORMER[from]) {
      for (const part of ["inputs", "outputs", "propertyDependencies"]) delete resource[part]?.[key];
    }
    if (to === REMOTE)
      for (const part of ["inputs", "outputs"]) resource[part].connection = { host: NOWHERE };
  }
  return renamed;
}

/** Whether a command of this machine only leads to the instance. Files that are sent there have no such command over SSH. */
function isThroughProxy({ inputs }) {
  const { create } = inputs ?? {};
  return (
    typeof create === "string" && create.includes(" over-ssh.sh ") && !create.includes(" send-files.sh ")
  );
}
