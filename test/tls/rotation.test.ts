import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import type { TaskStatus } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';
import { clientWith, HOUR, MachineWithCertificate, TestAuthority } from './machine-with-certificate.ts';

const ours = await TestAuthority.create();
const theirs = await TestAuthority.create();
const machine = new MachineWithCertificate();
const sitter = (): Promise<TlsIdentity> => ours.issue({ kind: 'cluster-sitter' });
const { client } = clientWith(sitter);

t.before(() => ours.machine('m-1').then((identity) => machine.start(identity)));
t.teardown(async () => {
  await machine.fetch('/api/v1/tasks/lasting', { method: 'DELETE' });
  await client.close();
  await machine.remove();
});

/** The certificate that a new connection is shown, by its serial number. */
async function serialShown(): Promise<string> {
  const { certificate: cert, key, authority: ca } = await sitter();
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port: machine.port, cert, key, ca, checkServerIdentity: () => undefined },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}

t.test('a new certificate is in force at once; tasks, streams and connections go on', async (t) => {
  const record = machine.record('m-1');
  await client.putTask(record, definition('lasting', { command: 'exec sleep 1000' }));
  const task = async (): Promise<TaskStatus> =>
    (await (await machine.fetch('/api/v1/tasks/lasting')).json()) as TaskStatus;
  await eventually(async () => (await task()).phase === 'running', 'it runs');
  const { pid } = await task();
  const abort = new AbortController();
  const stream = client.watch(record, 0, abort.signal);
  t.match((await stream.next()).value, { type: 'hello' });
  const before = await serialShown();

  const next = await ours.machine('m-1', 2 * HOUR);
  await client.putIdentity(record, next);
  const path = join(machine.folder, 'identity.json');
  t.same(JSON.parse(readFileSync(path, 'utf8')), next, 'it is on disk');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.not(await serialShown(), before, 'new connections are shown the new one');
  t.equal((await stream.next()).done, false, 'the stream that was open goes on');
  t.equal((await task()).pid, pid, 'the task was not touched');
  abort.abort();
  await t.rejects(async () => {
    for (;;) if ((await stream.next()).done) throw new Error('it ended');
  });
  const fresh = clientWith(sitter);
  t.equal((await fresh.client.runs(record, 'lasting')).length, 0);
  t.ok(
    (fresh.agents.certificateEnd('m-1') ?? 0) > Date.now() + HOUR,
    'and the cluster sitter sees how long it is good',
  );
  await fresh.client.close();
});

t.test('what is not the next certificate of this machine is refused, and changes nothing', async (t) => {
  const before = await serialShown();
  const record = machine.record('m-1');
  const one = await ours.machine('m-1');
  const refused: [string, TlsIdentity, RegExp][] = [
    ['another machine', await ours.machine('m-2'), /is of m-2, but this machine is m-1/],
    ['another cluster', await theirs.machine('m-1'), /another cluster/],
    ['a foreign authority beside it', { ...one, authority: theirs.record.certificate }, /not issued by the authority/],
    ['the key of another', { ...one, key: (await ours.machine('m-1')).key }, /key is not that of the certificate/],
    ['one that has ended', await ours.machine('m-1', 1000, Date.now() - HOUR), /ended on/],
    ["the cluster sitter's", await sitter(), /names no machine/],
    ['nonsense', { authority: 'a', certificate: 'b', key: 'c' }, /must each be PEM/],
  ];
  for (const [name, identity, expected] of refused) {
    await t.rejects(client.putIdentity(record, identity), { code: 'invalid', message: expected }, name);
  }
  const late = clientWith(sitter, 0);
  await t.rejects(late.client.putIdentity(record, one), { code: 'forbidden', message: /epoch/ }, 'an older epoch');
  await late.client.close();
  t.equal(await serialShown(), before);
});

t.test('a sitter without a cluster takes none over the network', async (t) => {
  const alone = new MachineWithCertificate();
  await alone.start('nonsense');
  t.teardown(() => alone.remove());
  const body = JSON.stringify(await ours.machine('m-7'));
  const answer = await alone.fetch('/api/v1/identity', { method: 'PUT', body });
  t.equal(answer.status, 403);
  t.match(await answer.text(), /belongs to no cluster/);
});

t.test("the cluster sitter's own certificate is renewed by itself, while it is in use", async (t) => {
  let issued = 0;
  let now = Date.now();
  const { MachineAgents } = await import('../../core/cluster/machines/machine-agents.ts');
  const { MachineClient } = await import('../../core/cluster/machines/machine-client.ts');
  const agents = new MachineAgents({
    issue: () => {
      issued += 1;
      return ours.issue({ kind: 'cluster-sitter' });
    },
    lifetimeMs: HOUR,
    clock: { now: () => now },
  });
  const mine = new MachineClient(() => 1, agents);
  const record = machine.record('m-1');
  const abort = new AbortController();
  const stream = mine.watch(record, 0, abort.signal);
  await stream.next();
  await mine.runs(record, 'lasting');
  now += HOUR / 2;
  await mine.runs(record, 'lasting');
  t.equal(issued, 1);
  now += HOUR / 4;
  await mine.runs(record, 'lasting');
  t.equal(issued, 2);
  t.equal((await stream.next()).done, false, 'a stream that was open goes on');
  await mine.close();
});
