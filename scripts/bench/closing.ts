/** Closes the last one first and each once, even if others fail; returns whether none did. */
export async function closeAll(closing: (() => Promise<void>)[]): Promise<boolean> {
  let closed = true;
  for (let close = closing.pop(); close !== undefined; close = closing.pop()) {
    await close().catch((error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      closed = false;
    });
  }
  return closed;
}
