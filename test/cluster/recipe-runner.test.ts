import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RecipeRunner } from '../../core/cluster/copies/recipe-runner.ts';
import type { Clock } from '../../core/contracts/clock.ts';
import type { MachineProvider } from '../../core/contracts/machine-provider.ts';
import { DeploymentRecipe, type RecipeContext } from '../../core/contracts/recipe.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { NewEvent } from '../../core/model/event.ts';
import type { JobSpec } from '../../core/model/job.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

interface Under {
  told: string[];
  run(recipe: (context: RecipeContext) => Promise<void>, change?: { copy?: string; version?: number }): Promise<void>;
}

/** A runner whose only recipe is what a test hands it, on a machine that is a folder. */
async function withRunner(t: Test, deadlineMs: number, body: (under: Under) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-runner-'));
  const told: string[] = [];
  let work: (context: RecipeContext) => Promise<void>;
  const runner = new RecipeRunner({
    loaders: [
      {
        name: 'test',
        start: async () => undefined,
        stop: async () => undefined,
        load: async () => (context) => ({ runDeploy: () => work(context) }),
      },
    ],
    deadlineMs,
    clock: new SystemClock(),
    logger: silentLogger,
    tell: async (events: NewEvent[]) => {
      told.push(...events.map(({ kind, message }) => `${kind}: ${message}`));
    },
  });
  const provider = {
    remote: async ({ machineId }: { machineId: string }) => {
      mkdirSync(join(folder, machineId), { recursive: true });
      return new LocalRemote(join(folder, machineId), {});
    },
  } as unknown as MachineProvider;
  try {
    await body({
      told,
      run: async (recipe, { copy = 'web.1', version = 1 } = {}) => {
        work = recipe;
        await runner.run({
          copy: { id: copy, job: 'web', version } as CopyRecord,
          machine: { id: 'm-1', zone: 'local-a', address: null } as MachineRecord,
          spec: { deployment_recipe: 'mine', recipe_options: {} } as unknown as JobSpec,
          provider,
          signal: new AbortController().signal,
        });
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  }
  t.pass('cleaned up');
}

/** A recipe of named steps; those in `failing` fail. */
function steps(names: readonly string[], failing: readonly string[], done: string[]) {
  return (context: RecipeContext): Promise<void> => {
    class Steps extends DeploymentRecipe {
      async runDeploy(): Promise<void> {
        for (const name of names)
          await this.step(name, async () => {
            if (failing.includes(name)) throw new Error(`no luck with ${name}`);
            done.push(name);
          });
      }
    }
    return new Steps(context).runDeploy();
  };
}

t.test('what a recipe says is on the timeline while it runs', async (t) => {
  await withRunner(t, 60_000, async ({ run, told }) => {
    await run(async ({ logger }) => {
      logger.info({}, 'first');
      logger.warn({}, 'second');
      await eventually(() => told.includes('recipe-line: web.1: second'), 'the lines are told');
    });
    t.same(told, [
      'recipe-started: web.1: recipe "mine" runs on m-1',
      'recipe-line: web.1: first',
      'recipe-line: web.1: second',
      'recipe-done: web.1: recipe "mine" is done',
    ]);
  });
});

t.test('of very many lines the first and the last are kept', async (t) => {
  await withRunner(t, 60_000, async ({ run, told }) => {
    await run(async ({ logger }) => {
      for (let n = 1; n <= 100_000; n++) logger.info({}, `line ${n} ${'x'.repeat(1000)}`);
    });
    const lines = told.filter((line) => line.startsWith('recipe-line'));
    t.equal(lines.length, 331);
    t.match(lines[299], /: line 300 /);
    t.equal(lines[300], 'recipe-line: web.1: (99670 more lines are left out here)');
    t.match(lines.at(-1), /: line 100000 /);
    t.ok(lines.every((line) => line.length < 600));
  });
});

t.test('a failure names the recipe, after what was said before it', async (t) => {
  await withRunner(t, 60_000, async ({ run, told }) => {
    const failing = run(async ({ logger, remote }) => {
      logger.info({}, 'so far so good');
      await remote.run(['/bin/sh', '-c', 'echo no room >&2; exit 4']);
    });
    await t.rejects(failing, { message: 'recipe "mine" failed: /bin/sh exited with code 4: no room' });
    t.equal(told.at(-1), 'recipe-line: web.1: so far so good');
    await t.rejects(
      run(async () => Promise.reject(new TypeError('undefined is not a function'))),
      {
        code: 'invalid',
        message: 'recipe "mine" failed: undefined is not a function',
      },
    );
  });
});

t.test('a recipe that hangs is broken off, and what it runs is ended', async (t) => {
  await withRunner(t, 300, async ({ run, told }) => {
    let ended = false;
    const hanging = run(async ({ remote, logger }) => {
      await remote.run(['sleep', '300']).catch(() => {
        ended = true;
        logger.info({}, 'too late to be told');
      });
    });
    await t.rejects(hanging, {
      code: 'timeout',
      message: 'recipe "mine" failed: it did not end within 0.3 s (recipe_deadline) and was broken off',
    });
    await eventually(() => ended, 'its command is ended');
    t.notOk(told.some((line) => line.includes('too late')));
  });
});

t.test('steps that are done are passed over, until there is another version', async (t) => {
  await withRunner(t, 60_000, async ({ run, told }) => {
    const done: string[] = [];
    const names = ['unpack', "it's a\nstrange one", 'install'];
    await t.rejects(run(steps(names, ['install'], done)), { message: 'recipe "mine" failed: no luck with install' });
    await run(steps(names, [], done));
    t.same(done, ['unpack', "it's a\nstrange one", 'install']);
    t.ok(told.includes('recipe-line: web.1: unpack: done before'));
    await run(steps(names, [], done), { copy: 'web.2' });
    t.equal(done.length, 6, 'another copy has steps of its own');
    await run(steps(names, [], done), { version: 2 });
    t.equal(done.length, 9);
  });
});

/** A runner of which one part never answers. */
function stuckRunner(part: 'load' | 'remote', clock: Clock, deadlineMs: number) {
  const never = new Promise<never>(() => undefined);
  const closed: string[] = [];
  let answer: (remote: Remote) => void = () => undefined;
  const remote = { close: async () => void closed.push('late remote') } as unknown as Remote;
  const runner = new RecipeRunner({
    loaders: [
      {
        name: 'test',
        start: async () => undefined,
        stop: async () => undefined,
        load: () => (part === 'load' ? never : Promise.resolve(() => ({ runDeploy: async () => undefined }))),
      },
    ],
    deadlineMs,
    clock,
    logger: silentLogger,
    tell: async () => undefined,
  });
  const stop = new AbortController();
  const run = (): Promise<void> =>
    runner.run({
      copy: { id: 'web.1', job: 'web', version: 1 } as CopyRecord,
      machine: { id: 'm-1', zone: 'local-a', address: null } as MachineRecord,
      spec: { deployment_recipe: 'mine', recipe_options: {} } as unknown as JobSpec,
      provider: {
        remote: () =>
          new Promise<Remote>((resolve) => {
            answer = resolve;
          }),
      } as unknown as MachineProvider,
      signal: stop.signal,
    });
  return { runner, run, stop, closed, answer: () => answer(remote) };
}

t.test('a recipe that never loads, or a machine that is never reached, is given up in time', async (t) => {
  const late = {
    code: 'timeout',
    message: 'recipe "mine" failed: it did not end within 0.2 s (recipe_deadline) and was broken off',
  };
  await t.rejects(stuckRunner('load', new SystemClock(), 200).run(), late);
  const unreached = stuckRunner('remote', new SystemClock(), 200);
  await t.rejects(unreached.run(), late);
  unreached.answer();
  await eventually(() => unreached.closed.length === 1, 'a remote that comes too late is closed');

  const unwanted = stuckRunner('remote', new SystemClock(), 60_000);
  const running = unwanted.run();
  await new Promise(setImmediate); // its turn begins a moment later
  unwanted.stop.abort();
  await t.rejects(running, { code: 'unavailable', message: 'recipe "mine" failed: it was broken off' });
});

t.test('a job file whose recipe never loads is refused in time', async (t) => {
  const { runner } = stuckRunner('load', new QuickClock(200), 60_000);
  await t.rejects(runner.find('mine', {}), {
    code: 'timeout',
    message: 'deployment_recipe: "mine" was not loaded within 30 s; look what it waits for while it is imported',
  });
});
