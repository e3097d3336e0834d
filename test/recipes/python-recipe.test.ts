import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RemoteRecipeSteps } from '../../core/cluster/copies/recipe-steps.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { RecipeContext } from '../../core/contracts/recipe.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { PythonRecipeLoader } from '../../recipes/python/python-recipe-loader.ts';
import { config } from '../../recipes/python/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { type LoaderUnderTest, recipeLoaderSuite } from '../suites/index.ts';

const FIXTURES = join(packageRoot, 'test', 'fixtures', 'python');
const ODD = 'mystartup.recipes.odd';

function hasPython(): boolean {
  try {
    execFileSync('python3', ['-c', 'import sys; assert sys.version_info >= (3, 9)'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const there = hasPython();
const skip = (t: Test): boolean => skipUnless(t, there, 'there is no Python 3.9 or later: apt-get install python3');

interface Place {
  folder: string;
  said: string[];
  context(options: Record<string, unknown>, signal?: AbortSignal): RecipeContext;
  run(recipe: string, options?: Record<string, unknown>, signal?: AbortSignal): Promise<void>;
}

async function withPlace(t: Test, body: (place: Place) => Promise<void>): Promise<void> {
  if (skip(t)) return;
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-python-'));
  const said: string[] = [];
  const say = (level: string) => (_fields: object, message: string) => {
    said.push(`${level}: ${message}`);
  };
  const logger: Logger = { ...silentLogger, info: say('info'), warn: say('warn'), error: say('error') };
  const context: Place['context'] = (options, signal = new AbortController().signal) => {
    const remote = new LocalRemote(folder, {});
    return {
      remote,
      steps: new RemoteRecipeSteps(remote, 'web.1', 'web.1 version 1'),
      options,
      version: '1.4',
      job: 'web',
      copy: 'web.1',
      machine: { id: 'local-a-1', zone: 'local-a', address: '127.0.0.1' },
      dnsName: '0.local-a.redis.startup.com',
      logger,
      signal,
    };
  };
  const loader = new PythonRecipeLoader([FIXTURES], config.parse({}));
  try {
    await body({
      folder,
      said,
      context,
      run: async (recipe, options = {}, signal) => {
        const factory = await loader.load(recipe);
        if (!factory) throw new Error(`${recipe} was not loaded`);
        await factory(context(options, signal)).runDeploy();
      },
    });
  } finally {
    await loader.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  }
}

t.test('recipes-python', async (t) => {
  if (skip(t)) return;
  const make = async (): Promise<LoaderUnderTest> => {
    const folder = mkdtempSync(join(tmpdir(), 'cerebro-python-'));
    return {
      loader: new PythonRecipeLoader([], config.parse({ path: [FIXTURES] })),
      good: { recipe: 'mystartup.recipes.plain', options: { text: 'x' }, ran: () => existsSync(join(folder, 'ran')) },
      bad: ['broken', 'missing', 'empty', 'nowhere', 'odd', 'odd.Nobody'].map((name) => ({
        recipe: `mystartup.recipes.${name}`,
        options: {},
      })),
      context: (options) => ({
        remote: new LocalRemote(folder, {}),
        options,
        version: undefined,
        job: 'web',
        copy: 'web.1',
        machine: { id: 'local-a-1', zone: 'local-a', address: null },
        logger: silentLogger,
        signal: new AbortController().signal,
      }),
      cleanUp: async () => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }),
    };
  };
  for (const { name, run } of recipeLoaderSuite(make)) await t.test(name, async (t) => run(t));
});

t.test('a recipe in the style of the original runs as it is', async (t) => {
  await withPlace(t, async ({ folder, said, run }) => {
    const releases = join(folder, 'releases');
    mkdirSync(releases);
    writeFileSync(join(releases, 'portal'), 'a portal');
    for (const [n, name] of ['portal-1.tar.gz', 'portal-2.tar.gz'].entries()) {
      execFileSync('tar', ['-czf', join(releases, name), '-C', releases, 'portal']);
      utimesSync(join(releases, name), 1000 + n, 1000 + n);
    }
    const root = join(folder, 'opt');
    if (skipUnless(t, canSudo(), 'there is no sudo without a password: apt-get install sudo')) return;
    await run('mystartup.recipes.deploy', { release_dir: releases, install_dir: root });
    t.equal(readFileSync(join(root, 'portal'), 'utf8'), 'a portal');
    t.ok(existsSync(join(root, 'releases', 'portal-2.tar.gz')));
    t.ok(readFileSync(join(root, 'host'), 'utf8').length > 1);
    t.ok(said.includes('info: Newest release is portal-2.tar.gz'), 'what it prints is told');
    t.ok(said.includes('info: Unpacked on 127.0.0.1: portal, releases'));
  });
});

t.test(
  'one that uses all that a recipe had: run, sudo, put, get, logger, options, hostname and dns_hostname',
  async (t) => {
    await withPlace(t, async ({ folder, said, run }) => {
      if (skipUnless(t, canSudo(), 'there is no sudo without a password: apt-get install sudo')) return;
      writeFileSync(join(folder, 'redis.conf'), 'port 6379\n');
      await run('mystartup.recipes.everything', { config_dir: folder, install_dir: join(folder, 'opt', 'redis') });
      t.equal(
        readFileSync(join(folder, 'deployed.conf'), 'utf8'),
        'port 6379\nbind 127.0.0.1\ncluster-announce-hostname 0.local-a.redis.startup.com\n',
      );
      t.same(said, ['info: Deploying to 127.0.0.1 (0.local-a.redis.startup.com)', 'info: 3']);
    });
  },
);

t.test('a module with run_deploy(options) is a recipe too', async (t) => {
  await withPlace(t, async ({ said, run }) => {
    await run('mystartup.recipes.plain', { text: 'it\'s "fine" $x' });
    t.ok(said.includes(`info: said ['it\\'s "fine" $x\\n'], status 0`));
  });
});

t.test('what goes wrong in Python arrives with its traceback or its sentence', async (t) => {
  await withPlace(t, async ({ said, run }) => {
    await t.rejects(run(`${ODD}.Throws`), { code: 'invalid', message: "KeyError: 'no such key'" });
    t.equal(said[0], 'info: about to fail');
    t.match(said.join('\n'), /error: Traceback \(most recent call last\):\n(.*\n)*.*odd.py", line \d+, in _deeper/);
    await t.rejects(run(`${ODD}.Refuses`), { message: 'run_deploy returned False' });
    await t.rejects(run(`${ODD}.Fails`), { message: /RemoteError: sleep did not end within 0.2 s/ });
    t.match(said.join('\n'), /warn: caught: echo no room.* ended with status 4: no room\nwarn: caught: /);
    await t.rejects(run(`${ODD}.Dies`), { message: /Python was ended by SIGKILL before its recipe was over/ });
    for (const [recipe, message] of [
      ['broken', /importing it failed: .*SyntaxError/],
      ['missing', /ModuleNotFoundError: No module named 'no_such_library_of_anybody'/],
      ['empty', /has neither a subclass of cerebro.DeploymentRecipe nor a function run_deploy/],
      ['nowhere', /mystartup.recipes has no class nowhere/],
      ['odd', /has several recipes \(.*Throws.*\); name one, like mystartup.recipes.odd.Throws/],
    ] as const)
      await t.rejects(run(`mystartup.recipes.${recipe}`), { code: 'invalid', message });
    await t.rejects(run('yourstartup.recipes.deploy'), { message: /there is no Python module yourstartup in/ });
  });
});

t.test('a recipe that hangs ends when its time is up, here and there', async (t) => {
  await withPlace(t, async ({ folder, run }) => {
    for (const [recipe, file] of [
      ['HangsHere', 'pids'],
      ['Hangs', 'remote-pid'],
    ] as const) {
      const stop = new AbortController();
      const hanging = t.rejects(run(`${ODD}.${recipe}`, {}, stop.signal));
      await eventually(
        () => existsSync(join(folder, file)) && readFileSync(join(folder, file), 'utf8') !== '',
        'it runs',
      );
      stop.abort();
      await hanging;
      if (recipe === 'HangsHere')
        for (const pid of readFileSync(join(folder, file), 'utf8').trim().split(' '))
          await eventually(() => !isAlive(Number(pid)), 'it and what it started are ended');
    }
    const pid = Number(readFileSync(join(folder, 'remote-pid'), 'utf8'));
    if (isAlive(pid)) process.kill(-pid, 'SIGKILL'); // its remote is not ours to close here; the runner does
  });
});

t.test('100 MB without a line break come in pieces', async (t) => {
  await withPlace(t, async ({ said, run }) => {
    await run(`${ODD}.Prints`);
    t.equal(said.at(-1), 'info: the end');
    t.ok(said.every((line) => line.length < 5000));
    t.ok(said.length > 20_000);
  });
});

t.test('steps that are done are passed over', async (t) => {
  await withPlace(t, async ({ folder, run }) => {
    await t.rejects(run(`${ODD}.Steps`), { message: 'RuntimeError: not yet' });
    await run(`${ODD}.Steps`, { fine: true });
    await run(`${ODD}.Steps`, { fine: true });
    t.equal(readFileSync(join(folder, 'steps'), 'utf8'), 'first\nsecond\nsecond\n');
  });
});

t.test("the daemon's environment stays with the daemon", async (t) => {
  await withPlace(t, async ({ said, run }) => {
    process.env.A_SECRET = 'secret';
    try {
      await run(`${ODD}.Snoops`, { dns_hostname: 'web.startup.com' });
    } finally {
      delete process.env.A_SECRET;
    }
    t.same(said, ['info: None web.startup.com', 'info: a message that %d not fit']);
  });
});

t.test('a file that has changed is loaded afresh; without Python it is said what is missing', async (t) => {
  await withPlace(t, async ({ folder, context }) => {
    cpSync(join(FIXTURES, 'mystartup'), join(folder, 'yourstartup'), { recursive: true });
    const loader = new PythonRecipeLoader([folder], config.parse({}));
    const load = async (): Promise<void> =>
      loader.load('yourstartup.recipes.plain').then((make) => make?.(context({ text: 'x' })).runDeploy());
    await load();
    writeFileSync(join(folder, 'yourstartup/recipes/plain.py'), 'nothing = 1');
    utimesSync(join(folder, 'yourstartup/recipes/plain.py'), 1000, 1000);
    await t.rejects(load(), { message: /has neither a subclass/ });
    const without = new PythonRecipeLoader([folder], config.parse({ python: 'python-of-nobody' }));
    await t.rejects(without.load('a.b'), {
      code: 'unsupported',
      message: /there is no "python-of-nobody".*need Python 3.9/,
    });
  });
});

/** Who is root needs none. */
function canSudo(): boolean {
  return process.getuid?.() === 0 || spawnSync('sudo', ['-n', 'true']).status === 0;
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
