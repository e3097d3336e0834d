import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import t from 'tap';
import { ApiUnderTest } from './api-under-test.ts';
import { callFor, type Paths, send, speakNonsense } from './fuzz-calls.ts';

const REQUESTS = Number(process.env.CEREBRO_FUZZ ?? 300);
const RAW = Math.ceil(REQUESTS / 5);
t.setTimeout(120_000 + REQUESTS * 200);

/** What runs is not left to chance: anything that a shell is given, and any folder that is written to. */
const FIXED: Record<string, Arbitrary<unknown>> = {
  command: fc.constantFrom('true', 'exec sleep 1000', 'false', '', 5, null),
  stdout_location: fc.constantFrom('', 7, null),
  stderr_location: fc.constantFrom('', 7, null),
  http: fc.constantFrom('http://127.0.0.1:1/', 'x', 3),
  tcp: fc.constantFrom('127.0.0.1:1', 'x', 3),
  signal: fc.constantFrom('SIGCONT', 'SIGUSR1', 'SIGKILL', 'SIGNOT', 9),
};
const NAMES = ['a', 'b b', 'ü', '..', '%', 'c.1'];
/** These would end the daemon. */
const LEFT_OUT = new Set(['/api/v1/suspend', '/api/v1/hand-over']);

t.test('whatever is sent, there is no 5xx, no crash, and nothing outside of the data folder', async (t) => {
  const outside = mkdtempSync(join(tmpdir(), 'cerebro-fuzz-'));
  const api = new ApiUnderTest(outside);
  await api.start();
  t.teardown(async () => {
    await api.remove();
    rmSync(outside, { recursive: true, force: true, maxRetries: 30 });
  });
  const document = await api.json<Paths>('/api/v1/openapi.json');
  const calls = Object.entries(document.paths)
    .filter(([path]) => !LEFT_OUT.has(path))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) =>
        callFor(path, method, operation, { names: NAMES, fixed: FIXED }),
      ),
    );
  const siblings = (): string[] => readdirSync(api.folder).sort();
  const before = siblings();
  for (const name of NAMES.filter((name) => name !== '..' && name !== '%'))
    await api.put(name, { command: 'echo hello; exec sleep 1000' });

  const seen = new Map<number | 'open', number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(...calls), async (call) => {
      const status = await send(api.daemon, call);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      if (typeof status === 'number' && (status >= 500 || status < 200)) throw new Error(`answered with ${status}`);
    }),
    { numRuns: REQUESTS, endOnFailure: true },
  );
  t.comment(`${[...seen].map(([status, count]) => `${status}: ${count}`).join(', ')}`);
  t.ok((seen.get(200) ?? 0) > 0, 'some of it was understood');

  await t.test('nor with bytes that are no HTTP', async (t) => {
    await speakNonsense(api.daemon.url, RAW);
    t.equal((await fetch(`${api.daemon.url}/healthz`)).status, 200);
  });

  t.ok(Array.isArray(await api.tasks()), 'it is well');
  const known = new Set([...before, 'tasks.yaml', 'tasks-of-file.json', 'epoch', 'events.ndjson', 'history']);
  t.same(
    siblings().filter((name) => !known.has(name)),
    [],
    'nothing new in the data folder but what belongs there',
  );
  t.same(readdirSync(outside), [basename(api.folder)], 'nothing beside it');
});
