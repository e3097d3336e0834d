/** Wakes one who waits for something to happen. A ring between two waits is not lost. */
export class Bell {
  #rung = false;
  #resolve: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  /** Resolves when it was rung since the last wait, when `signal` is aborted, or after `timeoutMs`; says whether it was rung. */
  async wait(signal: AbortSignal, timeoutMs?: number): Promise<boolean> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          this.#resolve = null;
          resolve();
        };
        const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
        this.#resolve = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
