import { Worker } from 'node:worker_threads';
import type { Life } from './life.ts';

/** A life to be lived; or, with the name of one of the wrong cluster sitters, so many from this seed on until it is found out. */
export interface Task {
  seed: number;
  broken?: string;
  tries: number;
}

export interface Report extends Task {
  life: Life;
  /** How long it took, in real time. */
  ms: number;
}

/** A thread does not have the loader of TypeScript that its process has. */
const BEGIN = `
  const { tsx, module } = require('node:worker_threads').workerData;
  import(tsx).then(({ register }) => {
    register();
    return import(module);
  });
`;
const MODULES = {
  tsx: import.meta.resolve('tsx/esm/api'),
  module: new URL('./life-worker.ts', import.meta.url).href,
};

/** Lives many lives in some threads. `onReport` is called with each as it ends, in no particular order; false: it is enough. */
export async function liveMany(
  tasks: readonly Task[],
  threads: number,
  onReport: (report: Report) => boolean,
): Promise<void> {
  const next = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from({ length: Math.min(threads, tasks.length) }, () => {
    const worker = new Worker(BEGIN, { eval: true, execArgv: [], workerData: { ...MODULES, tasks, next } });
    worker.on('message', (report: Report) => {
      if (!onReport(report)) Atomics.store(next, 0, tasks.length);
    });
    return new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`))));
    });
  });
  await Promise.all(workers);
}
