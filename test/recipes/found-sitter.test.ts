import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { taskDefinition } from '../../core/model/task.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { putIdentity, readSitterTasks, type SitterPlace } from '../../recipes/machine-sitter/found-sitter.ts';
import { TestAuthority } from '../tls/machine-with-certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-found-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const place: SitterPlace = {
  remote: new LocalRemote(folder, {}),
  machineId: 'm-1',
  data: 'sitter/data',
  asRoot: false,
};
const data = join(folder, place.data);

function writeTask(name: string, text: string): void {
  mkdirSync(join(data, 'tasks', name), { recursive: true });
  writeFileSync(join(data, 'tasks', name, 'task.json'), text);
}

const definition = (id: string, command: string): object =>
  taskDefinition.parse({ id, job: 'web', version: 3, configuration: { name: 'web', command } });

t.test('where no sitter has its data, nothing is taken for none', async (t) => {
  await t.rejects(readSitterTasks(place), {
    code: 'not_found',
    message: /no machine sitter's data in sitter\/data there/,
  });
  const authority = await TestAuthority.create();
  t.equal(await putIdentity(place, await authority.machine('m-1')), false);
});

t.test('the tasks are those of its files, whatever stands in them', async (t) => {
  mkdirSync(data, { recursive: true });
  t.same(await readSitterTasks(place), []);
  const command = 'printf "%s\\n" \'a b\' $HOME `id` ü \\\n  && true';
  const life = { phase: 'running' };
  writeTask('one', JSON.stringify({ definition: definition('web.1', command), revision: 4, life }));
  writeTask('two', JSON.stringify({ definition: definition('web.2', 'true'), life }, null, 2));
  writeTask('.removed-three', 'half of');
  mkdirSync(join(data, 'tasks', 'not yet'));
  t.same(await readSitterTasks(place), [definition('web.1', command), definition('web.2', 'true')]);
});

t.test('a task that cannot be read keeps the machine from being adopted, and its file is not shown', async (t) => {
  for (const text of ['', '{"definition": {"secrets": {"KEY": "s3cret"}', `"${'x'.repeat(100_000)} s3cret"`]) {
    writeTask('broken', text);
    const error = await readSitterTasks(place).catch((reason: unknown) => reason);
    t.match(error, { code: 'invalid' });
    t.notMatch(String(error), 's3cret');
  }
  rmSync(join(data, 'tasks', 'broken'), { recursive: true });
  // A sector that is bad, say: what stands in its place cannot be read by anybody.
  mkdirSync(join(data, 'tasks', 'broken', 'task.json'), { recursive: true });
  await t.rejects(readSitterTasks(place), { code: 'invalid', message: /tasks\/broken\/task\.json cannot be read/ });
  rmSync(join(data, 'tasks', 'broken'), { recursive: true });
});

t.test('a certificate is put beside it, unless the sitter there is another machine', async (t) => {
  const [before, after] = await Promise.all([TestAuthority.create(), TestAuthority.create()]);
  const file = join(data, 'identity.json');
  writeFileSync(file, JSON.stringify(await before.machine('m-1')));
  const next = await after.machine('m-1');
  t.equal(await putIdentity(place, next), true);
  t.same(JSON.parse(readFileSync(file, 'utf8')), next);
  const other = { ...place, machineId: 'm-2' };
  const conflict = { code: 'conflict', message: 'the machine sitter in sitter/data there is m-1, and not m-2' };
  await t.rejects(readSitterTasks(other), conflict);
  await t.rejects(putIdentity(other, next), conflict);
});
