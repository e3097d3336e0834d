import { parentPort, workerData } from 'node:worker_threads';
import { brokenSitters } from './fixtures/index.ts';
import { live } from './life.ts';
import type { Report, Task } from './lives.ts';

/** Lives the lives that nobody has taken yet, until there are none. Begun by `lives.ts`. */
async function work({ tasks, next }: { tasks: readonly Task[]; next: Int32Array }): Promise<void> {
  for (;;) {
    const task = tasks[Atomics.add(next, 0, 1)];
    if (!task) return;
    const { seed, broken } = task;
    const breakage = brokenSitters.find(({ name }) => name === broken);
    const began = performance.now();
    let life = await live(seed, breakage);
    // Who is wrong is found out in some life or other.
    for (let n = 1; broken !== undefined && n < task.tries && !life.violation; n++)
      life = await live(seed + n, breakage);
    // The timeline of a life in which all went well nobody reads.
    const timeline = life.violation ? life.timeline : [];
    parentPort?.postMessage({ ...task, life: { ...life, timeline }, ms: performance.now() - began } satisfies Report);
  }
}

await work(workerData);
