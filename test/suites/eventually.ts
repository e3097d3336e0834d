/** Only what does not come about at all should fail by this: shared hosts can be ten times slower for minutes. */
const DEADLINE_MS = 90_000;

/** Waits until `condition` holds; throws with `what` when it does not within `deadlineMs`. */
export async function eventually(condition: () => unknown, what: string, deadlineMs = DEADLINE_MS): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`within ${deadlineMs / 1000} s it did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
