/** In a guest of `npm run test:vm` everything takes longer. */
const DEADLINE_MS = process.env.CEREBRO_VM === '1' ? 90_000 : 15_000;

/** Waits until `condition` holds; throws with `what` when it does not within `deadlineMs`. */
export async function eventually(condition: () => unknown, what: string, deadlineMs = DEADLINE_MS): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`within ${deadlineMs / 1000} s it did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
