import { request } from 'node:http';
import { connect as connectPlain } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type ConnectionOptions, connect } from 'node:tls';
import t from 'tap';
import { isThisHost } from '../../core/http/doors/machine-door.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';
import { clientWith, MachineWithCertificate, TestAuthority } from './machine-with-certificate.ts';

const ours = await TestAuthority.create();
const theirs = await TestAuthority.create();
const machine = new MachineWithCertificate();
const { client } = clientWith(() => ours.issue({ kind: 'cluster-sitter' }));

t.before(async () => {
  await machine.start(await ours.machine('m-1'));
});

t.teardown(async () => {
  for (const { id } of (await (await machine.fetch('/api/v1/tasks')).json()) as { id: string }[])
    await machine.fetch(`/api/v1/tasks/${id}`, { method: 'DELETE' });
  await client.close();
  await machine.remove();
});

const shown = ({ certificate: cert, key, authority: ca }: TlsIdentity): ConnectionOptions => ({ cert, key, ca });

/** What a caller with these options gets for a request with the machine's token: the answer's first line, or nothing. */
function answerTo(options: ConnectionOptions, port = machine.port): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options }, () => {
      const token = machine.daemon.adminToken;
      socket.write(
        `GET /api/v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      );
    });
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''));
  });
}

t.test("the cluster sitter's certificate is all that it needs", async (t) => {
  const record = machine.record('m-1');
  t.equal((await client.putTask(record, definition('one', { command: 'exec sleep 1000' }))).id, 'one');
  t.same(await client.runs(record, 'one'), []);
  const stream = client.watch(record, 0, new AbortController().signal);
  t.match((await stream.next()).value, { type: 'hello', tasks: [{ id: 'one' }] });
  await stream.return(undefined);
  await client.removeTask(record, 'one');
});

t.test('nobody else is served over TLS, not even with the token', async (t) => {
  const good = await ours.issue({ kind: 'cluster-sitter' });
  const { authority: ca } = good;
  t.equal(await answerTo(shown(good)), 'HTTP/1.1 200 OK', 'the question is right');
  t.equal(await answerTo({ ca }), '', 'no certificate');
  t.equal(
    await answerTo({ ...shown(await theirs.issue({ kind: 'cluster-sitter' })), ca }),
    '',
    "another cluster's sitter",
  );
  t.equal(await answerTo(shown(await ours.machine('m-2'))), '', 'a machine of this cluster');
  t.equal(await answerTo(shown(await ours.machine('m-1'))), '', 'the machine itself');
  const ended = await ours.issue({ kind: 'cluster-sitter' }, 1000, Date.now() - 60_000);
  t.equal(await answerTo(shown(ended)), '', 'a certificate that has ended');
  t.equal(await answerTo({ ...shown(good), maxVersion: 'TLSv1.2' }), '', 'TLS 1.2');
});

t.test('the cluster sitter talks with that very machine and nobody else', async (t) => {
  await t.rejects(client.runs(machine.record('m-2'), 'x'), {
    code: 'unavailable',
    message: /what answers at 127\.0\.0\.1 is not m-2: its certificate names m-1/,
  });
  const stranger = new MachineWithCertificate();
  await stranger.start(await theirs.machine('m-1'));
  await t.rejects(client.runs(stranger.record('m-1'), 'x'), { code: 'unavailable', message: /m-1 does not answer/ });
  await stranger.remove();
  const plain = { ...machine.record('m-1'), endpoint: machine.daemon.url };
  await t.rejects(client.runs(plain, 'x'), { code: 'unavailable', message: /spoken to over https/ });
});

t.test('people of this host use plain HTTP on the same port, with the token', async (t) => {
  t.equal((await machine.fetch('/api/v1/tasks')).status, 200);
  t.equal((await fetch(`${machine.daemon.url}/api/v1/tasks`)).status, 401);
  const about = (await (await machine.fetch('/api/v1/machine')).json()) as { certificate: { machine: string } };
  t.equal(about.certificate.machine, 'm-1');
  t.notMatch(JSON.stringify(about), 'BEGIN');
});

t.test('plain HTTP from elsewhere is refused, whatever token it brings', async (t) => {
  for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) t.ok(isThisHost(address), address);
  for (const address of ['10.0.0.1', '128.0.0.1', '::2', '::ffff:10.0.0.1', '::1:2', undefined])
    t.notOk(isThisHost(address), String(address));
  const other = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
  if (other === undefined) return t.comment('this host has no other address than loopback');
  const open = new MachineWithCertificate();
  await open.start(await ours.machine('m-3'), '0.0.0.0');
  t.teardown(() => open.remove());
  const answer = await fetch(`http://${other}:${open.port}/api/v1/tasks`, {
    headers: { authorization: `Bearer ${open.daemon.adminToken}` },
  });
  t.equal(answer.status, 403);
  t.match(await answer.text(), /this host alone/);
  t.same(
    await client.runs({ ...open.record('m-3'), endpoint: `https://${other}:${open.port}` }, 'x').catch((e) => e.code),
    'not_found',
  );
});

t.test('a caller that says nonsense, nothing, or half of something harms nobody', async (t) => {
  /** Whoever has said something and hears nothing for a while goes away. */
  const said = (bytes: Buffer | string): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connectPlain({ host: '127.0.0.1', port: machine.port }, () => socket.end(bytes));
      socket.setTimeout(1000, () => socket.destroy());
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
    });
  t.match(await said('nonsense\r\n\r\n'), /^HTTP\/1\.1 400/);
  t.equal(await said(''), '');
  // TLS answers nonsense with an alert, which is no answer to anything.
  t.notMatch(await said(Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5])), /HTTP/);
  t.notMatch(await said(Buffer.from([0x16])), /HTTP/);
  await said(Buffer.alloc(100_000, 0x16));
  const silent = connectPlain({ host: '127.0.0.1', port: machine.port });
  t.equal((await machine.fetch('/healthz')).status, 200);
  silent.destroy();
});

t.test(
  'a crowd that says nothing, or half a handshake, shuts out neither the cluster sitter nor this host',
  async (t) => {
    const other = new MachineWithCertificate();
    await other.start(await ours.machine('m-7'), '127.0.0.1', { max_connections: 16 });
    const stream = client.watch(other.record('m-7'), 0, new AbortController().signal);
    t.match((await stream.next()).value, { type: 'hello' });
    const crowd = Array.from({ length: 60 }, (_, i) => {
      const socket = connectPlain({ host: '127.0.0.1', port: other.port });
      socket.on('error', () => undefined);
      if (i % 3 > 0) socket.write(Buffer.from([0x16, 3, 1, 2, 0].slice(0, i % 3 === 1 ? 1 : 5)));
      return socket;
    });
    t.teardown(async () => {
      for (const socket of crowd) socket.destroy();
      await stream.return(undefined);
      await other.remove();
    });
    await eventually(() => crowd.filter((socket) => !socket.destroyed).length < 16, 'most of them were closed');
    t.same(await client.runs(other.record('m-7'), 'x').catch((e) => e.code), 'not_found');
    t.equal((await other.fetch('/api/v1/tasks')).status, 200);
    t.match((await stream.next()).value, { type: /./ }, 'and what was under way goes on');
  },
);

t.test('a request that comes byte by byte is taken all the same', async (t) => {
  const status = await new Promise<number>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port: machine.port, path: '/healthz', method: 'POST', agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    outgoing.once('error', reject);
    outgoing.write('{');
    setTimeout(() => outgoing.end('}'), 20);
  });
  t.equal(status, 404);
});

t.test('it ends in time, with a reader of a stream still there', async (t) => {
  const other = new MachineWithCertificate();
  await other.start(await ours.machine('m-4'));
  const abort = new AbortController();
  const stream = client.watch(other.record('m-4'), 0, abort.signal);
  t.match((await stream.next()).value, { type: 'hello' });
  await other.remove();
  await t.rejects(async () => {
    for (;;) if ((await stream.next()).done) throw new Error('it ended');
  });
});

t.test('a file that cannot be used keeps nobody from starting: only this host is served', async (t) => {
  for (const [text, reason] of [
    ['{"authority":', /not JSON/],
    ['{"authority":"x"}', /does not hold authority, certificate and key/],
    [JSON.stringify({ authority: 'a', certificate: 'b', key: 'SECRET-KEY' }), /must each be PEM/],
    [
      JSON.stringify({ ...(await ours.machine('m-5')), key: (await ours.machine('m-5')).key }),
      /key is not that of the certificate/,
    ],
    [
      JSON.stringify({ ...(await ours.machine('m-5')), authority: theirs.record.certificate }),
      /not issued by the authority/,
    ],
    [JSON.stringify(await ours.issue({ kind: 'cluster-sitter' })), /names no machine/],
  ] as const) {
    const other = new MachineWithCertificate();
    await other.start(text);
    t.match(other.log, reason);
    t.notMatch(other.log, /SECRET-KEY|PRIVATE/);
    t.equal((await other.fetch('/api/v1/tasks')).status, 200);
    t.equal(await answerTo(shown(await ours.issue({ kind: 'cluster-sitter' })), other.port), '');
    await other.remove();
  }
});

t.test('a good file that is put there later is taken up by itself', async (t) => {
  const other = new MachineWithCertificate();
  await other.start('nonsense');
  t.teardown(() => other.remove());
  await t.rejects(client.runs(other.record('m-6'), 'x'), { code: 'unavailable' });
  other.write(await ours.machine('m-6'));
  await eventually(
    () =>
      client.runs(other.record('m-6'), 'x').then(
        () => false,
        (error) => error.code === 'not_found',
      ),
    'it answers over TLS',
  );
});
