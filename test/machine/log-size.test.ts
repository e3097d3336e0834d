import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { probeLogMethod } from '../../core/machine/logs/log-cut.ts';
import { firstOffset, readLog } from '../../core/machine/logs/log-file.ts';
import { RunLog } from '../../core/machine/logs/run-log.ts';
import { TaskFiles, taskFolderName } from '../../core/machine/records/task-files.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineUnderTest } from './machine-under-test.ts';

const KB = 1024;
const LINES = 12_000_000;
/** `000000001 and some text\n`: all lines are of one length, so a line's number tells its offset. */
const LINE_BYTES = 24;

function typeOf(folder: string): string {
  return execFileSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' }).trim();
}

async function textOf(machine: MachineUnderTest, id: string): Promise<{ from: number; text: string }> {
  const source = machine.sitter.log(id, 'stdout');
  const options = { run: 1, tail: undefined, offset: undefined, follow: false, signal: new AbortController().signal };
  const from = await firstOffset(source, options);
  const chunks: Buffer[] = [];
  for await (const chunk of readLog(source, from, options)) chunks.push(chunk);
  return { from, text: Buffer.concat(chunks).toString('latin1') };
}

/** Lines at full speed while the size is held: no line is lost or doubled, and offsets stay what they are. */
async function heldAtFullSpeed(t: Test, machine: MachineUnderTest): Promise<void> {
  await machine.start();
  t.teardown(() => machine.remove());
  await machine.add('loud', {
    command: `seq -f '%09.0f and some text' 1 ${LINES}; exec sleep 1000`,
    logs: { max_bytes: 512 * KB },
  });
  const log = machine.sitter.log('loud', 'stdout');
  const abort = new AbortController();
  const followed: number[] = [];
  const follower = (async () => {
    const options = { run: 1, tail: undefined, offset: undefined, follow: true, signal: abort.signal };
    let rest = '';
    for await (const chunk of readLog(log, 0, options)) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.length === LINE_BYTES - 1) followed.push(Number(line.slice(0, 9)));
    }
  })();
  await machine.phase('loud', 'running');
  const written = LINES * LINE_BYTES;
  await eventually(() => log.log(1)?.end() === written, 'all is written');
  const size = (): number => statSync(log.log(1)?.path ?? '').blocks * 512;
  await eventually(() => size() <= 512 * KB + 4096, 'it is held to its size');
  const { from, text } = await textOf(machine, 'loud');
  const lines = text.split('\n');
  t.equal(lines.pop(), '');
  const first = Number(lines[0]?.slice(0, 9));
  t.ok(first > 1, `${first - 1} lines made room`);
  t.equal(from, (first - 1) * LINE_BYTES, 'an offset counts from the first byte that was ever written');
  let wrong = 0;
  for (const [i, line] of lines.entries())
    if (line !== `${String(first + i).padStart(9, '0')} and some text`) wrong += 1;
  t.equal(wrong, 0, 'every line is there, once, whole');
  t.equal(first + lines.length - 1, LINES, 'up to the last');
  if (machine.task('loud').logs?.method === 'collapse')
    await eventually(
      () => statSync(log.log(1)?.path ?? '').size <= 512 * KB,
      'once it is calm, no hole is left in its file',
    );
  abort.abort();
  await follower;
  let disorder = 0;
  for (const [i, n] of followed.entries()) if (i > 0 && n <= (followed[i - 1] ?? 0)) disorder += 1;
  t.equal(disorder, 0, 'who follows sees no line twice');
  t.ok(followed.length > 0);
}

for (const [folder, wanted] of [
  [tmpdir(), 'ext2/ext3'],
  [process.env.CEREBRO_VM_EXT4, 'ext2/ext3'],
  ['/dev/shm', 'tmpfs'],
] as const) {
  if (folder === undefined || typeOf(folder) !== wanted) continue;
  t.test(`the size is held on ${wanted === 'tmpfs' ? 'tmpfs, by holes' : 'ext4, by collapsing'}`, async (t) => {
    t.equal(await probeLogMethod(folder), wanted === 'tmpfs' ? 'punch' : 'collapse');
    await heldAtFullSpeed(t, new MachineUnderTest(folder));
  });
}

t.test('what is cut off is shown, ANSI colours stay, and a new daemon goes on with the same offsets', async (t) => {
  const machine = new MachineUnderTest();
  await machine.start();
  t.teardown(() => machine.remove());
  await machine.add('web', {
    command: `seq -f '%09.0f and some text' 1 20000; printf '\\033[31mred\\033[0m\\n'; exec sleep 1000`,
    logs: { max_bytes: 64 * KB },
  });
  await machine.phase('web', 'running');
  const end = 20_000 * LINE_BYTES + '\u001b[31mred\u001b[0m\n'.length;
  await eventually(() => {
    const log = machine.sitter.log('web', 'stdout').log(1);
    return log?.end() === end && end - log.start <= 64 * KB;
  }, 'all is written, and lines made room');
  t.ok((machine.task('web').logs?.trimmedBytes ?? 0) > 0);
  t.equal(machine.task('web').logs?.lostBytes, 0);
  const before = await textOf(machine, 'web');
  t.ok(before.text.endsWith('\u001b[31mred\u001b[0m\n'));
  await machine.letGo();
  await machine.start();
  await machine.phase('web', 'running');
  t.same(await textOf(machine, 'web'), before);
  t.equal(machine.sitter.log('web', 'stdout').log(1)?.end(), end);
});

function logIn(t: Test): { path: string; position: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-log-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  return { path: join(folder, 'log'), position: join(folder, 'position') };
}

t.test('copytruncate, the last resort, keeps a copy and counts on', async (t) => {
  const { path, position } = logIn(t);
  writeFileSync(path, 'one\ntwo\n');
  const log = new RunLog(path, position);
  await log.cut(4, 'copytruncate');
  t.equal(readFileSync(`${path}.old`, 'utf8'), 'one\ntwo\n');
  appendFileSync(path, 'three\n');
  t.equal(log.start, 8);
  t.equal(new RunLog(path, position).end(), 14);
});

t.test('killed during a collapse: the next daemon finds out whether it was done', async (t) => {
  if ((await probeLogMethod(tmpdir())) !== 'collapse') return t.comment('this file system does not collapse');
  const { path, position } = logIn(t);
  const text = Array.from({ length: 3 }, (_, i) => `${i}`.repeat(4096)).join('');
  writeFileSync(path, text);
  await new RunLog(path, position).cut(4096, 'collapse');
  const after = readFileSync(position, 'utf8');
  // As it was between the word and the deed, with the deed done, and not done.
  const { createHash } = await import('node:crypto');
  const hash = (n: number): string => createHash('sha256').update(`${n}`.repeat(4096)).digest('hex').slice(0, 32);
  const between = { start: 0, shift: 0, lost: 0, cutting: { bytes: 4096, head: hash(0), next: hash(1) } };
  writeFileSync(position, JSON.stringify(between));
  t.equal(new RunLog(path, position).start, 4096, 'it was done');
  writeFileSync(path, text);
  t.equal(new RunLog(path, position).start, 0, 'it was not');
  t.equal(after.length, 512, 'the position has its room');
});

t.test('a collapse does away with the holes before it, and offsets stay', async (t) => {
  if ((await probeLogMethod(tmpdir())) !== 'collapse') return t.comment('this file system does not collapse');
  const { path, position } = logIn(t);
  writeFileSync(path, Array.from({ length: 6 }, (_, i) => `${i}`.repeat(4096)).join(''));
  const log = new RunLog(path, position);
  await log.cut(2 * 4096, 'punch');
  await log.cut(4096, 'punch');
  t.strictSame([log.start, log.holeBytes, log.end()], [3 * 4096, 3 * 4096, 6 * 4096]);
  await log.cut(4096, 'collapse');
  t.strictSame([log.start, log.holeBytes, log.end()], [4 * 4096, 0, 6 * 4096]);
  t.equal(readFileSync(path, 'latin1'), `${'4'.repeat(4096)}${'5'.repeat(4096)}`);
  t.equal(new RunLog(path, position).start, 4 * 4096, 'the next daemon knows it');
  await log.cut(0, 'collapse');
  t.equal(log.start, 4 * 4096, 'there is nothing to close');
});

t.test('a hole in the log of a run that ended while no daemon was there is closed by the next one', async (t) => {
  if ((await probeLogMethod(tmpdir())) !== 'collapse') return t.comment('this file system does not collapse');
  const machine = new MachineUnderTest();
  await machine.start();
  t.teardown(() => machine.remove());
  await machine.add('web', { command: `seq -f '%09.0f and some text' 1 4000; exec sleep 1000`, allow_exit: true });
  await machine.phase('web', 'running');
  const before = machine.sitter.log('web', 'stdout').log(1);
  await eventually(() => before?.end() === 4000 * LINE_BYTES, 'all is written');
  const { pid } = machine.task('web');
  const path = before?.path ?? '';
  const files = new TaskFiles(join(machine.folder, 'tasks', taskFolderName('web')));
  const positionPath = files.logPlace(1, 'stdout')?.positionPath ?? '';
  await machine.letGo();
  // As a daemon leaves it that cut while the log grew fast.
  await new RunLog(path, positionPath).cut(16 * KB, 'punch');
  t.equal(statSync(path).size, 4000 * LINE_BYTES);
  process.kill(pid ?? 0, 'SIGKILL');
  await eventually(() => !machine.processes.read(pid ?? 0), 'it has ended');
  await machine.start();
  await eventually(() => statSync(path).size === 4000 * LINE_BYTES - 16 * KB, 'the hole is closed');
  const log = machine.sitter.log('web', 'stdout').log(1);
  t.strictSame([log?.start, log?.end()], [16 * KB, 4000 * LINE_BYTES], 'offsets stay what they are');
});

t.test('a damaged position is taken for none', async (t) => {
  const { path, position } = logIn(t);
  writeFileSync(path, 'one\n');
  writeFileSync(position, '{"start":');
  t.equal(new RunLog(path, position).end(), 4);
});

t.test('who reads while a cut fails is not told of it, and reads on', async (t) => {
  const { path, position } = logIn(t);
  writeFileSync(path, Buffer.alloc(3 * 4096, 'a'));
  const log = new RunLog(path, join(position, 'cannot be written'));
  const open = await log.open();
  if (!open) throw new Error('the log is there');
  const cut = log.cut(4096, 'collapse');
  const read = open.read(Buffer.alloc(10), 0);
  await t.rejects(cut);
  t.equal(await read, 10);
  t.equal(await open.end(), 3 * 4096);
  await open.close();
});
