/**
 * Rejects, in a program that may have hundreds of outputs waiting for the answer.
 *
 * Pulumi's SDK switches V8's debugger on at the start of a program, to serialize functions. With the debugger on, V8
 * looks through everything that waits for a promise when the promise is rejected, to predict whether somebody catches
 * the error. It goes every path anew. The outputs of a few resources that need each other have so many paths that the
 * program takes all memory of the machine, for minutes, before the error is shown. A program that fails here will not
 * serialize a function any more, so the debugger is switched off first.
 *
 * @throws error, always
 */
export async function reject(error: unknown): Promise<never> {
  const session = await inspectorOfSdk();
  session?.post("Debugger.disable");
  throw error;
}

/** The SDK's connection to the debugger, which is not part of its public interface: it may be gone in another version. */
async function inspectorOfSdk(): Promise<{ post(method: string): void } | undefined> {
  try {
    // The SDK has loaded it already, unless this is a test.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const hooks = require("@pulumi/pulumi/runtime/closure/v8Hooks") as {
      getSessionAsync?(): Promise<{ post(method: string): void }>;
    };
    return await hooks.getSessionAsync?.();
  } catch {
    return undefined;
  }
}
