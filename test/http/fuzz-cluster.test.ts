import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import t from 'tap';
import { z } from 'zod';
import { createDaemon } from '../../core/engine/create-daemon.ts';
import type { Daemon } from '../../core/engine/daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { jobSpec } from '../../core/model/job.ts';
import { eventually } from '../suites/eventually.ts';
import { type Call, callFor, type FuzzChoices, type Operation, type Paths, send, speakNonsense } from './fuzz-calls.ts';

const REQUESTS = Number(process.env.CEREBRO_FUZZ ?? 300);
/** One run again: its seed stands in the failure. */
const SEED = process.env.CEREBRO_FUZZ_SEED;
t.setTimeout(120_000 + REQUESTS * 400);

/** What would run something, reach out to somebody, or end what is under test. */
const CHOICES: FuzzChoices = {
  names: ['web', 'web.1', 'b b', '..', '%', 'local-a', 'local-a-1', 'c.1'],
  fixed: {
    command: fc.constantFrom('true', 'exec sleep 1000', 'false', '', 5, null),
    name: fc.constantFrom('web', 'other', 'b b', '..', 7),
    deployment_recipe: fc.constantFrom('', 'none-such', 3),
    deployment_layout: fc.constantFrom({ 'local-a': { count: 1 } }, { 'local-a': { count: 3 }, 'no-zone': {} }, [], 4),
    dns_basename: fc.constantFrom('a.test', '', 4),
    http: fc.constantFrom('http://127.0.0.1:1/', 'x', 3),
    tcp: fc.constantFrom('127.0.0.1:1', 'x', 3),
    stdout_location: fc.constantFrom('', 7, null),
    stderr_location: fc.constantFrom('', 7, null),
  },
};
const LEFT_OUT = new Set(['/api/v1/down']);
/** A provider, or a machine, that does not answer or cannot do it says so; that is no failure of the daemon. */
const HONEST = new Set([501, 503]);

const PAGES = ['/', '/jobs', '/jobs/{id}', '/jobs/{id}/versions', '/jobs/{id}/stop', '/machines', '/machines/{id}']
  .concat(['/machines/{id}/drain', '/copies/{id}', '/copies/{id}/logs', '/events', '/alerts', '/search', '/settings'])
  .concat(['/dns', '/logs', '/listjobs', '/updatejob', '/assets/{id}']);

/** Pages stand in no document: their paths do, with anything in the query. */
function pageCall(path: string): Arbitrary<Call> {
  const parameters = ['q', 'page', 'zone', 'state', 'level', 'job', 'since', 'lines', 'stream', 'confirm'];
  const operation: Operation = {
    parameters: [
      { name: 'id', in: 'path', schema: { type: 'string' } },
      ...parameters.map((name) => ({ name, in: 'query' as const, schema: { type: 'string' } })),
    ],
  };
  return callFor(path, 'get', operation, CHOICES);
}

t.test(
  'whatever a cluster sitter is sent, there is no failure, no crash, and nothing outside of its folder',
  async (t) => {
    const outside = mkdtempSync(join(tmpdir(), 'cerebro-fuzz-'));
    const folder = join(outside, 'data');
    const daemonLog = join(folder, 'cerebro.log');
    let isDown = false;
    const daemon = await createDaemon({
      mode: 'cluster',
      settings: readSettings(undefined, {
        data_dir: folder,
        port: 0,
        max_machines: { '*': 1 },
        dns_resolvers: ['127.0.0.1:1'],
      }),
      pluginsFile: undefined,
      logFile: daemonLog,
      portFallback: true,
      onStopRequested: () => {
        isDown = true;
      },
    });
    await daemon.start();
    t.teardown(async () => {
      await ask(daemon, 'POST', '/api/v1/down', '{"confirm":"down"}');
      await eventually(() => isDown, 'its machines are ended');
      await daemon.stop();
      rmSync(outside, { recursive: true, force: true, maxRetries: 10 });
    });
    const job = {
      task_configuration: { name: 'web', command: 'exec sleep 1000' },
      deployment_layout: { 'local-a': { count: 1 } },
    };
    await ask(daemon, 'POST', '/api/v1/jobs', JSON.stringify(job));
    await eventually(
      async () => JSON.stringify(await (await ask(daemon, 'GET', '/api/v1/copies')).json()).includes('"ready"'),
      'one copy is ready',
    );

    const document = (await (await ask(daemon, 'GET', '/api/v1/openapi.json')).json()) as Paths;
    const operations = Object.entries(document.paths).filter(([path]) => !LEFT_OUT.has(path));
    const calls = operations.flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) =>
        callFor(path, method, withJobFile(path, operation), CHOICES),
      ),
    );
    const seen = new Map<number | 'open', number>();
    await fc.assert(
      fc.asyncProperty(fc.oneof(...calls, ...calls, ...PAGES.map(pageCall)), async (call) => {
        const status = await send(daemon, call);
        seen.set(status, (seen.get(status) ?? 0) + 1);
        if (typeof status !== 'number' || HONEST.has(status)) return;
        if (status >= 500 || status < 200) throw new Error(`answered with ${status}: ${lastError(daemonLog)}`);
      }),
      { numRuns: REQUESTS, endOnFailure: true, ...(SEED !== undefined && { seed: Number(SEED) }) },
    );
    t.comment([...seen].map(([status, count]) => `${status}: ${count}`).join(', '));
    t.ok((seen.get(200) ?? 0) > 0, 'some of it was understood');
    await speakNonsense(daemon.url, Math.ceil(REQUESTS / 5));

    t.equal((await ask(daemon, 'GET', '/api/v1/status')).status, 200, 'it is well');
    t.same(readdirSync(outside), [basename(folder)], 'nothing beside its folder');
  },
);

/** What the daemon's log has of the last failure: its caller is told a number only. */
function lastError(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.findLast((line) => line.includes('"errorId"')) ?? 'its log says nothing';
}

/** Job files are sent as text, and stand in the document as nothing more. */
function withJobFile(path: string, operation: Operation): Operation {
  if (!['/api/v1/jobs', '/api/v1/plan'].includes(path)) return operation;
  const schema = z.toJSONSchema(jobSpec, { io: 'input', unrepresentable: 'any' });
  return { ...operation, requestBody: { content: { 'application/json': { schema: schema as object } } } };
}

function ask(daemon: Daemon, method: string, path: string, body?: string): Promise<Response> {
  return fetch(`${daemon.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${daemon.adminToken}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body }),
  });
}
