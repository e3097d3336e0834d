import { existsSync } from 'node:fs';

const main = new URL('../dist/core/main.js', import.meta.url);

/** Runs the compiled program as if it had been called with `first` before its own arguments. */
export async function start(first) {
  if (!existsSync(main)) {
    console.error('cerebro is not built yet: run "npm ci" (or "npm run build") in its folder first');
    process.exit(1);
  }
  process.argv.splice(2, 0, ...first);
  await import(main.href);
}
