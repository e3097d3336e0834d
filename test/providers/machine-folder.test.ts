import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import { dropDrafts, isDraft, makeMachineFolder, readInstance } from '../../providers/local/machine-folder.ts';

const order = (intent: string, token = 'token'): MachineOrder => ({
  clusterId: 'c',
  machineId: 'm-1',
  zone: 'local-a',
  type: { name: 'small', cpu: 1, mem: 512 },
  intent,
  token,
  identity: { authority: 'a', certificate: 'c', key: 'k' },
});

t.test('a machine is made once, by whoever comes first', async (t) => {
  const machines = t.testdir();
  const folder = join(machines, 'm-1');
  const first = makeMachineFolder(folder, order('intent', 'first'));
  t.match(first, { intent: 'intent', power: 'on', cpu: 1, mem: 512 });
  const { ino, mode } = statSync(folder);
  t.equal(mode & 0o777, 0o700);
  t.same(makeMachineFolder(folder, order('intent', 'second')), first);
  t.equal(statSync(folder).ino, ino, 'what a cluster sitter that was frozen brings late replaces nothing');
  t.equal(readFileSync(join(folder, 'admin.token'), 'utf8'), 'first\n');
  t.throws(() => makeMachineFolder(folder, order('other')), { code: 'conflict', message: /by another order/ });
  t.same(readdirSync(machines), ['m-1'], 'nothing is left beside it');
});

t.test('what was left by half is not in the way, and what cannot be read is left alone', async (t) => {
  const machines = t.testdir();
  const folder = join(machines, 'm-1');
  mkdirSync(join(folder, 'tasks'), { recursive: true });
  mkdirSync(join(machines, `.m-1.${process.pid}`));
  t.ok(readdirSync(machines).some(isDraft));
  makeMachineFolder(folder, order('intent'));
  t.match(readInstance(folder), { intent: 'intent' });
  t.same(readdirSync(folder).sort(), ['admin.token', 'identity.json', 'instance.json']);
  writeFileSync(join(folder, 'instance.json'), '{');
  t.throws(() => makeMachineFolder(folder, order('intent')), {
    code: 'unavailable',
    message: /something may run there/,
  });
  t.equal(readFileSync(join(folder, 'instance.json'), 'utf8'), '{');
});

t.test('what a crash has left of a folder is removed, once nobody works on it any more', async (t) => {
  const machines = t.testdir();
  for (const name of ['m-1', '.m-1.12', '.m-2.34', '.other']) mkdirSync(join(machines, name));
  dropDrafts(machines, (pid) => pid === 34);
  t.same(readdirSync(machines).sort(), ['.m-2.34', '.other', 'm-1']);
});
