import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Remote } from '../../core/contracts/remote.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

export interface RemoteUnderTest {
  remote: Remote;
  /** Another remote of the same machine. */
  again(): Promise<Remote>;
  /** Where the remote's folder is on this host, for those who have it here. */
  folder: string;
  cleanUp(): Promise<void>;
}

/** Arguments that a shell would make something else of. */
export const STRANGE_ARGUMENTS: readonly string[] = [
  'a b',
  '"quoted"',
  "it's",
  "''",
  '$(echo no)',
  '`no`',
  '$HOME',
  'line\nbreak\n',
  '',
  '*',
  '~',
  '\\',
  '\\n',
  'ü€𝄞',
  '-n',
  '--',
  '!x',
  ';|&<>(){}[]#%',
  '\t',
  "'\\''",
  '=a',
  'a=b',
];

/** What every `Remote` must do. The remotes' machines are folders of this host, so that what arrived can be looked at. */
export function remoteSuite(make: () => Promise<RemoteUnderTest>): Suite {
  const test = (
    name: string,
    body: (t: Assertions, under: RemoteUnderTest, local: string) => Promise<void>,
  ): Suite[number] => ({
    name,
    run: async (t) => {
      const under = await make();
      const local = mkdtempSync(join(tmpdir(), 'cerebro-remote-'));
      try {
        await body(t, under, local);
      } finally {
        await under.remote.close();
        await under.cleanUp();
        rmSync(local, { recursive: true, force: true, maxRetries: 30 });
      }
    },
  });

  return [
    test('arguments arrive as they are, in run and in sudo', async (t, { remote }) => {
      const wanted = STRANGE_ARGUMENTS.map((argument) => `${argument}|`).join('');
      t.equal((await remote.run(['printf', '%s|', ...STRANGE_ARGUMENTS])).stdout, wanted);
      if (process.getuid?.() === 0)
        t.equal((await remote.sudo(['printf', '%s|', ...STRANGE_ARGUMENTS])).stdout, wanted);
      t.equal((await remote.run(['printf', '%s', 'x'.repeat(60_000)])).stdout.length, 60_000);
      await t.rejects(remote.run([]));
      await t.rejects(remote.run(['echo', 'zero\0byte']));
    }),
    test('cwd, environment and input arrive, whatever they hold', async (t, { remote }) => {
      await remote.run(['mkdir', "a folder's"]);
      const { stdout } = await remote.run(['/bin/sh', '-c', 'cat; echo "$X|$PWD"'], {
        cwd: "a folder's",
        env: { X: '$(no) \'"\n!' },
        input: 'in\n$put',
      });
      t.ok(stdout.startsWith('in\n$put$(no) \'"\n!|/'));
      t.ok(stdout.endsWith("a folder's\n"));
      t.equal((await remote.run(['cat'], { input: 'ü'.repeat(30_000) })).stdout.length, 30_000);
      await remote.run(['true'], { input: 'x'.repeat(1_000_000) });
      await t.rejects(remote.run(['true'], { cwd: 'no such folder' }));
      await t.rejects(remote.run(['true'], { env: { 'a b': 'c' } }));
    }),
    test('a file is a standard input as well as a text', async (t, { remote }, local) => {
      const file = join(local, 'input');
      writeFileSync(file, 'ü'.repeat(1_500_000));
      const told: number[] = [];
      const onInput = (sent: number, total: number): void => {
        t.equal(total, 3_000_000);
        told.push(sent);
      };
      const { stdout } = await remote.run(['sha256sum'], { inputFile: file, onInput });
      t.ok(stdout.startsWith(createHash('sha256').update(readFileSync(file)).digest('hex')));
      t.equal(told.at(-1), 3_000_000);
      t.ok(told.every((sent, i) => sent >= (told[i - 1] ?? 0)));
      t.equal((await remote.run(['head', '-c', '2'], { inputFile: file })).stdout, 'ü'); // not all of it need be read
      t.equal((await remote.run(['true'], { inputFile: file })).code, 0);
      const sentence = await failure(remote.run(['touch', 'begun'], { inputFile: join(local, 'none') }));
      t.ok(sentence?.startsWith('invalid: the file '));
      // A folder can be opened, and not be read.
      const folder = await failure(remote.run(['touch', 'begun'], { inputFile: local }));
      t.ok(folder?.startsWith('invalid: the file '));
      await t.rejects(remote.run(['cat', 'begun'])); // nothing was started
    }),
    test('codes and failures are told apart', async (t, { remote }) => {
      const { code, stderr } = await remote.run(['/bin/sh', '-c', 'echo why >&2; exit 3'], { allowFailure: true });
      t.equal(code, 3);
      t.equal(stderr, 'why\n');
      const sentence = await failure(remote.run(['/bin/sh', '-c', 'echo why >&2; exit 3']));
      t.ok(/^invalid: \/bin\/sh exited with code 3.*: why$/.test(sentence ?? ''));
      t.ok(
        (await failure(remote.run(['/no/such/program'], { allowFailure: true })))?.includes(
          'no program "/no/such/program"',
        ),
      );
      t.ok(
        (await failure(remote.run(['/bin/sh', '-c', 'kill -9 $$'], { allowFailure: true })))?.includes('was ended by'),
      );
    }),
    test('lines come as they are printed, and very much output is bounded', async (t, { remote }) => {
      const lines: string[] = [];
      const script = 'echo first; echo error >&2; read -r line; echo "$line"; printf last';
      await remote.run(['/bin/sh', '-c', script], {
        input: 'given\n',
        onLine: (stream, line) => lines.push(`${stream}: ${line}`),
      });
      t.same([...lines].sort(), ['stderr: error', 'stdout: first', 'stdout: given', 'stdout: last']);
      const { stdout } = await remote.run(['/bin/sh', '-c', 'yes 0123456789 | head -c 20000000; echo; echo the end']);
      t.ok(stdout.length <= 64 * 1024);
      t.ok(stdout.endsWith('\nthe end\n'));
    }),
    test('a command over its time is killed with all that it started', async (t, { remote, folder }) => {
      const script = 'sleep 300 & echo $! > child; sleep 300';
      const ended = remote.run(['/bin/sh', '-c', script], { timeout: 1.5 });
      t.ok((await failure(ended))?.startsWith('timeout: /bin/sh did not end within 1.5 s'));
      const child = Number(readFileSync(join(folder, 'child'), 'utf8'));
      await eventually(() => !isAlive(child), 'what it started is ended too');
    }),
    test('close ends what runs', async (t, { remote, folder }) => {
      const running = failure(remote.run(['/bin/sh', '-c', 'echo $$ > pid; exec sleep 300']));
      await eventually(
        () => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8') !== '',
        'it runs',
      );
      await remote.close();
      t.ok(await running);
      const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
      await eventually(() => !isAlive(pid), 'it is ended');
    }),
    test('a file is put once, and again when content or mode differ', async (t, { remote, folder }, local) => {
      const file = join(local, "what's up");
      writeFileSync(file, 'one', { mode: 0o640 });
      const place = "deep/er/what's $up";
      t.equal(await remote.put(file, place), true);
      t.equal(readFileSync(join(folder, place), 'utf8'), 'one');
      t.equal(statSync(join(folder, place)).mode & 0o777, 0o640);
      t.equal(await remote.put(file, place), false);
      t.equal(await remote.put(file, place, { mode: 0o755 }), true);
      t.equal(statSync(join(folder, place)).mode & 0o777, 0o755);
      writeFileSync(file, 'two');
      t.equal(await remote.put(file, place, { mode: 0o755 }), true);
      t.equal(readFileSync(join(folder, place), 'utf8'), 'two');
      t.same(readdirSync(join(folder, 'deep/er')), ["what's $up"]);
      await t.rejects(remote.put(join(local, 'missing'), place));
      await t.rejects(remote.put(file, 'deep'));
      t.same(readdirSync(join(folder, 'deep')), ['er']);
    }),
    test('a large file arrives whole, tells how far it is, and comes back', async (t, { remote, folder }, local) => {
      const bytes = Buffer.alloc(5_000_000, 'some bytes\0\n');
      writeFileSync(join(local, 'large'), bytes);
      let last: [number, number] = [0, 0];
      await remote.put(join(local, 'large'), 'large', {
        onProgress: (sent, total) => {
          last = [sent, total];
        },
      });
      t.same(last, [bytes.length, bytes.length]);
      t.ok(readFileSync(join(folder, 'large')).equals(bytes));
      await remote.get('large', join(local, 'back'));
      t.ok(readFileSync(join(local, 'back')).equals(bytes));
      await t.rejects(remote.get('missing', join(local, 'none')));
      t.same(readdirSync(local).sort(), ['back', 'large']);
    }),
    test('text is written with its mode; an owner is set, and refused where it is none', async (t, {
      remote,
      folder,
    }) => {
      await remote.write("it's ü\n", 'text', { mode: 0o600 });
      t.equal(readFileSync(join(folder, 'text'), 'utf8'), "it's ü\n");
      t.equal(statSync(join(folder, 'text')).mode & 0o777, 0o600);
      await remote.write('', 'empty');
      t.equal(statSync(join(folder, 'empty')).mode & 0o777, 0o644);
      await t.rejects(remote.write('x', 'owned', { owner: '$(id)' }));
      if (process.getuid?.() !== 0) return;
      await remote.write('x', 'owned', { owner: 'nobody:nogroup' });
      t.same([statSync(join(folder, 'owned')).uid === 0, statSync(join(folder, 'owned')).gid === 0], [false, false]);
    }),
    test('a folder is put whole; again, only what differs', async (t, { remote, folder }, local) => {
      const from = join(local, 'from');
      const strange = ["it's", 'a b', '$x', 'back\\slash', '-n', 'ü'];
      for (const name of strange) put(from, `${name}/${name}`, name);
      put(from, 'run', '#!/bin/sh\n', 0o755);
      mkdirSync(join(from, 'empty'), { mode: 0o700 });
      chmodSync(join(from, 'empty'), 0o700);
      symlinkSync('../nowhere $x', join(from, 'link'));
      t.equal(await remote.putFolder(from, 'a/to it'), strange.length + 2);
      const to = join(folder, 'a/to it');
      for (const name of strange) t.equal(readFileSync(join(to, name, name), 'utf8'), name);
      t.equal(statSync(join(to, 'run')).mode & 0o777, 0o755);
      t.equal(statSync(join(to, 'empty')).mode & 0o777, 0o700);
      t.equal(readlinkSync(join(to, 'link')), '../nowhere $x');
      t.same(readdirSync(join(folder, 'a')), ['to it']);
      t.equal(await remote.putFolder(from, 'a/to it'), 0);

      const kept = lstatSync(join(to, '$x/$x')).ino;
      writeFileSync(join(from, 'a b/a b'), 'other');
      utimesSync(join(from, '$x/$x'), 1000, 1000);
      chmodSync(join(from, 'run'), 0o700);
      put(from, 'new/er', 'x');
      put(to, 'extra', 'x');
      t.equal(await remote.putFolder(from, 'a/to it'), 3);
      t.equal(readFileSync(join(to, 'a b/a b'), 'utf8'), 'other');
      t.equal(readFileSync(join(to, 'new/er'), 'utf8'), 'x');
      t.equal(statSync(join(to, 'run')).mode & 0o777, 0o700);
      t.equal(lstatSync(join(to, '$x/$x')).ino, kept);
      t.ok(existsSync(join(to, 'extra')));
      await remote.putFolder(from, 'a/to it', { prune: true });
      t.notOk(existsSync(join(to, 'extra')));
      t.same(readdirSync(join(folder, 'a')), ['to it']);
    }),
    test('in a folder, files take the place of folders and links, and the other way round', async (t, {
      remote,
      folder,
    }, local) => {
      put(local, 'one/thing/inside', 'x');
      put(local, 'one/other', 'x');
      put(local, 'two/thing', 'file');
      put(local, 'two/other/inside', 'x');
      await remote.putFolder(join(local, 'one'), 'to');
      await remote.putFolder(join(local, 'two'), 'to');
      t.equal(readFileSync(join(folder, 'to/thing'), 'utf8'), 'file');
      t.equal(readFileSync(join(folder, 'to/other/inside'), 'utf8'), 'x');
      await t.rejects(remote.putFolder(join(local, 'missing'), 'to'));
      await t.rejects(remote.putFolder(join(local, 'two/thing'), 'to'));
    }),
    test('what is done to one remote is seen by another', async (t, { remote, again }) => {
      await remote.write('x', 'file');
      const other = await again();
      t.equal((await other.run(['cat', 'file'])).stdout, 'x');
      await other.close();
      t.equal((await remote.run(['cat', 'file'])).stdout, 'x');
    }),
    test('several commands at once are fine', async (t, { remote }) => {
      const numbers = Array.from({ length: 20 }, (_, n) => String(n));
      const results = await Promise.all(numbers.map((n) => remote.run(['echo', n])));
      t.same(
        results.map(({ stdout }) => stdout.trim()),
        numbers,
      );
    }),
  ];
}

function put(folder: string, path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text, { mode });
}

async function failure(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? `${error.code}: ` : '';
    return `${code}${error instanceof Error ? error.message : error}`;
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
