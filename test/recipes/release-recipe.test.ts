import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { BuiltinRecipeLoader } from '../../recipes/builtin/builtin-recipe-loader.ts';
import { FileHashes } from '../../recipes/builtin/file-hashes.ts';
import { ReleaseRecipe } from '../../recipes/builtin/release-recipe.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

interface Place {
  releases: string;
  /** Where the job's releases are on the machine. */
  target: string;
  said: string[];
  /** What was shown while it went on. */
  shown: string[];
  /** Commands and files that went to the machine. */
  calls: string[];
  deploy(version?: string, options?: Record<string, unknown>): Promise<void>;
}

async function withPlace(body: (place: Place) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-release-'));
  const releases = join(folder, 'releases');
  mkdirSync(releases);
  const said: string[] = [];
  const shown: string[] = [];
  const calls: string[] = [];
  const say = (_fields: object, message: string): void => {
    said.push(message);
  };
  const logger: Logger = { ...silentLogger, info: say };
  const deploy = async (version?: string, extra: Record<string, unknown> = {}): Promise<void> => {
    const options = { release_dir: releases, ...extra };
    const factory = await new BuiltinRecipeLoader().load('release', options);
    const real = new LocalRemote(join(folder, 'machine'), {});
    const remote: Remote = Object.assign(Object.create(real), {
      run: (...args: Parameters<Remote['run']>) => {
        calls.push(args[1]?.inputFile === undefined ? 'run' : 'send');
        return real.run(...args);
      },
    });
    const machine = { id: 'm-1', zone: 'local-a', address: null };
    const { signal } = new AbortController();
    const progress = (step: string, percent: number | null): void => {
      shown.push(percent === null ? step : `${step}: ${Math.floor(percent)} %`);
    };
    const about = { job: 'web', copy: 'web.1', machine };
    await factory?.({ remote, options, version, ...about, logger, signal, progress }).runDeploy();
  };
  mkdirSync(join(folder, 'machine'));
  try {
    await body({ releases, target: join(folder, 'machine', 'releases', 'web'), said, shown, calls, deploy });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  }
}

let age = 1_700_000_000;

/** A tarball with these files, newer than those before. */
function pack(releases: string, name: string, files: Record<string, string>): string {
  const from = mkdtempSync(join(releases, '.pack-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(from, path)), { recursive: true });
    writeFileSync(join(from, path), text);
  }
  const tarball = join(releases, name);
  execFileSync('tar', ['-caf', tarball, '-C', from, ...Object.keys(files)]);
  rmSync(from, { recursive: true });
  age += 10;
  utimesSync(tarball, age, age);
  return tarball;
}

const text = (t: Test, path: string): string => {
  t.ok(existsSync(path), path);
  return readFileSync(path, 'utf8');
};

t.test('the newest release is unpacked and made current, with progress', async (t) => {
  await withPlace(async ({ releases, target, said, shown, calls, deploy }) => {
    pack(releases, 'web-1.9.tar.gz', { run: 'one' });
    pack(releases, 'web-1.10.tgz', { run: 'two', 'sub/file': 'x' });
    writeFileSync(join(releases, 'notes.txt'), 'no tarball');
    await deploy();
    t.equal(text(t, join(target, 'current', 'run')), 'two');
    t.match(readlinkSync(join(target, 'current')), /^releases\/web-1.10\.[0-9a-f]{12}$/);
    t.same(readdirSync(target).sort(), ['current', 'releases']);
    t.match(said.join('\n'), /^web-1.10.tgz is sent and unpacked, \d+ kB\nweb-1.10 is the current release$/);
    t.match(shown, [/is sent and unpacked, \d+ kB: 0 %$/, /is sent and unpacked, \d+ kB: 100 %$/]);
    calls.length = 0;
    await deploy();
    t.same(calls, ['run'], 'an unchanged release costs one look');
  });
});

t.test('a version names its tarball; going back sends nothing', async (t) => {
  await withPlace(async ({ releases, target, calls, deploy }) => {
    pack(releases, 'web-1.0.tar', { run: 'one' });
    pack(releases, 'web-2.0.tar', { run: 'two' });
    for (const version of ['1.0', 'web-2.0', 'web-1.0.tar', '2.0']) {
      await deploy(version);
      t.equal(text(t, join(target, 'current/run')), version.includes('1.0') ? 'one' : 'two');
    }
    t.equal(calls.filter((call) => call === 'send').length, 2);
    await t.rejects(deploy('3.0'), { message: /none of them is version "3.0"; it holds web-1.0.tar, web-2.0.tar/ });
    await t.rejects(deploy('.0'), { message: /none of them is version ".0"/ });
    pack(releases, 'api-1.0.tar', { run: 'api' });
    await t.rejects(deploy('1.0'), { message: /web-1.0.tar could be version "1.0"/ });
    await deploy('1.0', { package: 'api-' });
    t.equal(text(t, join(target, 'current/run')), 'api');
    pack(releases, 'web-2.0.tar', { run: 'built again' });
    await deploy('2.0', { package: 'web-' });
    t.equal(text(t, join(target, 'current/run')), 'built again');
  });
});

t.test('a tarball that is not what its sha256 says is refused', async (t) => {
  await withPlace(async ({ releases, target, deploy }) => {
    const tarball = pack(releases, 'web-1.tar.gz', { run: 'one' });
    writeFileSync(`${tarball}.sha256`, `${'0'.repeat(64)}  web-1.tar.gz\n`);
    await t.rejects(deploy(), {
      code: 'invalid',
      message: /is not what .*web-1.tar.gz.sha256 says: .*still being copied/,
    });
    t.notOk(existsSync(target));
    writeFileSync(
      `${tarball}.sha256`,
      `${createHash('sha256').update(readFileSync(tarball)).digest('hex')}  web-1.tar.gz\n`,
    );
    await deploy();
    t.equal(text(t, join(target, 'current/run')), 'one');
  });
});

t.test(
  'an install script runs in the release; one that fails leaves the old release current and is run again',
  async (t) => {
    await withPlace(async ({ releases, target, said, deploy }) => {
      pack(releases, 'web-1.tar', { 'web/run': 'one' });
      await deploy('1', { strip: 1, install: 'echo "$JOB $COPY $VERSION" > made; echo installing' });
      t.equal(text(t, join(target, 'current/made')), 'web web.1 1\n');
      t.ok(said.includes('installing'));
      pack(releases, 'web-2.tar', { 'web/run': 'two' });
      await t.rejects(deploy('2', { strip: 1, install: 'echo no compiler >&2; exit 7' }), {
        message: /code 7: no compiler/,
      });
      t.equal(text(t, join(target, 'current/run')), 'one');
      await deploy('2', { strip: 1, install: 'test ! -e made; touch made' });
      t.equal(text(t, join(target, 'current/run')), 'two');
    });
  },
);

t.test('old releases go, but never the current one and the one before it', async (t) => {
  await withPlace(async ({ releases, target, deploy }) => {
    for (let n = 1; n <= 5; n++) {
      pack(releases, `web-${n}.tar`, { run: String(n) });
      await deploy(undefined, { keep: 2 });
    }
    const kept = (): string[] =>
      readdirSync(join(target, 'releases'))
        .map((name) => name.replace(/\..*/, ''))
        .sort();
    t.same(kept(), ['web-4', 'web-5']);
    await deploy('4', { keep: 1 });
    t.same(kept(), ['web-4', 'web-5']);
  });
});

t.test('a tarball that is none, a folder that is not there, and wrong options say so', async (t) => {
  await withPlace(async ({ releases, target, deploy }) => {
    await t.rejects(deploy(), { message: /release_dir .* holds no tarball/ });
    await t.rejects(deploy(undefined, { release_dir: '/no/such/folder' }), {
      message: /release_dir cannot be read where the cluster sitter runs/,
    });
    await t.rejects(deploy(undefined, { target: '../../etc' }), {
      message: /recipe_options.target: a path without "\.\."/,
    });
    writeFileSync(join(releases, 'web-1.tar.gz'), 'not a tarball');
    await t.rejects(deploy(), { message: /tar|gzip/ });
    t.notOk(existsSync(join(target, 'current')));
    t.same(readdirSync(join(target, 'releases')), [], 'nothing is left of what was none');
    pack(releases, 'web-1.tar.gz', { run: 'mended' });
    await deploy();
    t.equal(text(t, join(target, 'current/run')), 'mended');
  });
});

t.test('what changes while it is sent is not taken for the release, and leaves nothing', async (t) => {
  await withPlace(async ({ releases, target, deploy }) => {
    pack(releases, 'web-1.tar', { run: 'one' });
    await deploy();
    const tarball = pack(releases, 'web-2.tar', { run: 'two' });
    const whole = readFileSync(tarball);
    // Its hash is remembered for as long as nothing of the file shows that it is another one; here the file itself shows it too late.
    const hashes = new FileHashes();
    const of = hashes.of.bind(hashes);
    hashes.of = async (path) => {
      const hash = await of(path);
      if (path === tarball) writeFileSync(path, Buffer.concat([whole, Buffer.alloc(10_240)]));
      return hash;
    };
    const remote = new LocalRemote(join(target, '../..'), {});
    const machine = { id: 'm-1', zone: 'local-a', address: null };
    const { signal } = new AbortController();
    const about = { job: 'web', copy: 'web.1', machine, logger: silentLogger, signal };
    const recipe = new ReleaseRecipe({ remote, options: { release_dir: releases }, version: '2', ...about }, hashes);
    await t.rejects(recipe.runDeploy(), { message: /what arrived is not what was sent; it was thrown away/ });
    t.equal(text(t, join(target, 'current/run')), 'one');
    t.equal(readdirSync(join(target, 'releases')).length, 1);
  });
});
