import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Authority, CertificateAuthority } from '../../core/cluster/access/certificate-authority.ts';
import { createAuthority, issueCertificate } from '../../core/cluster/access/issue-certificate.ts';
import { CertificateKeeper } from '../../core/cluster/machines/certificate-keeper.ts';
import type { RecordChange } from '../../core/cluster/records/cluster-records.ts';
import type { MachineProvider } from '../../core/contracts/machine-provider.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { bearsName, machineName, namedMachine, type TlsIdentity } from '../../core/model/tls-identity.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { clientWith, HOUR, MachineWithCertificate } from '../tls/machine-with-certificate.ts';

const clock = new SystemClock();
const over = (store: MemoryStore): CertificateAuthority => new CertificateAuthority({ store, clock, lifetimeMs: HOUR });

t.test('two cluster sitters that begin at once have one authority, and so has the next one', async (t) => {
  const store = new MemoryStore();
  const [one, other] = await Promise.all([over(store).issue('m-1'), over(store).issue('m-1')]);
  t.equal(one.authority, other.authority);
  t.not(one.key, other.key, 'each certificate has a key of its own');
  t.equal((await over(store).issueForClusterSitter()).authority, one.authority);
  t.equal((await store.list('')).entries.length, 1, 'keys of machines are not kept');
});

t.test('a store that is away is asked again the next time', async (t) => {
  const store = new MemoryStore();
  const authority = over(store);
  store.failNext = new CerebroError('no_space', 'full');
  await t.rejects(authority.issue('m-1'), { code: 'no_space' });
  t.ok(await authority.issue('m-1'));
});

t.test('a record that is damaged is said to be, and is not replaced by a new authority', async (t) => {
  const store = new MemoryStore();
  await store.commit({ write: [{ put: 'tls/authority', value: { certificate: 'x' } }] });
  await t.rejects(over(store).issue('m-1'), { code: 'internal', message: /tls\/authority.*backup/ });
});

t.test('OpenSSL agrees: each certificate serves its own purpose and no other', async (t) => {
  if (skipUnless(t, existsSync('/usr/bin/openssl'), 'openssl is not there (Debian: openssl)')) return;
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-openssl-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const authority = over(new MemoryStore());
  const [machine, sitter] = [await authority.issue('m-1'), await authority.issueForClusterSitter()];
  const verifies = (identity: TlsIdentity, purpose: string): boolean => {
    writeFileSync(join(folder, 'ca.pem'), identity.authority);
    writeFileSync(join(folder, 'it.pem'), identity.certificate);
    const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'it.pem'];
    try {
      execFileSync('/usr/bin/openssl', args, { cwd: folder, stdio: 'pipe', timeout: 60_000 });
      return true;
    } catch {
      return false;
    }
  };
  t.ok(verifies(machine, 'sslserver'));
  t.notOk(verifies(machine, 'sslclient'));
  t.ok(verifies(sitter, 'sslclient'));
  t.notOk(verifies(sitter, 'sslserver'));
});

t.test('a name is found whole, however strange the machine is called', async (t) => {
  const authority = over(new MemoryStore());
  for (const id of ['local-a-1', 'a, URI:cerebro:cluster-sitter', 'ü "x"', 'm/../1']) {
    const { subjectAltName } = new X509Certificate((await authority.issue(id)).certificate);
    t.ok(bearsName(subjectAltName, machineName(id)), id);
    t.equal(namedMachine(subjectAltName), id);
    t.notOk(bearsName(subjectAltName, 'cerebro:cluster-sitter'), id);
  }
  t.notOk(bearsName('URI:cerebro:machine/m-10', machineName('m-1')));
});

t.test('nothing is issued beyond the end of the authority', async (t) => {
  const now = Date.now();
  const record = await createAuthority(now);
  const end = Date.parse(new X509Certificate(record.certificate).validTo);
  const last = await issueCertificate(record, { kind: 'machine', id: 'm-1' }, end - HOUR, 10 * HOUR);
  t.equal(Date.parse(new X509Certificate(last.certificate).validTo), end);
  await t.rejects(issueCertificate(record, { kind: 'machine', id: 'm-1' }, end, HOUR), /authority ended/);
});

/** A keeper over one machine, whose certificate ends when the test says. */
function keeperOf(options: {
  end: number | undefined;
  put?: (identity: TlsIdentity) => Promise<void>;
  renewIdentity?: MachineProvider['renewIdentity'];
  authorityEnd?: number;
}): {
  keeper: CertificateKeeper;
  time: { now: number };
  events: { kind: string; level: string; message: string }[];
  ends: Map<string, number>;
} {
  const time = { now: Date.now() };
  const events: { kind: string; level: string; message: string }[] = [];
  const machine = { id: 'fake-a-1', zone: 'fake-a', state: 'ready', endpoint: 'https://127.0.0.1:1' } as MachineRecord;
  const ends = new Map<string, number>(options.end === undefined ? [] : [['fake-a-1', options.end]]);
  const real = over(new MemoryStore());
  const authority: Authority = {
    lifetimeMs: HOUR,
    issue: (id) => real.issue(id),
    issueForClusterSitter: () => real.issueForClusterSitter(),
    issueForDoor: () => real.issueForDoor(),
    end: async () => options.authorityEnd ?? real.end(),
  };
  const provider = { name: 'fake', renewIdentity: options.renewIdentity } as unknown as MachineProvider;
  const keeper = new CertificateKeeper({
    records: {
      machines: new Map([[machine.id, machine]]),
      transact: async (build: () => RecordChange | null) => {
        events.push(...(build()?.events ?? []));
      },
    },
    providers: new Map([['fake', provider]]),
    authority,
    agents: { certificateEnd: (id) => ends.get(id), noteCertificateEnd: (id, end) => void ends.set(id, end) },
    client: { putIdentity: async (_machine, identity) => options.put?.(identity) },
    clock: { now: () => time.now, monotonic: () => time.now, timer: () => ({ cancel: () => undefined }) },
    logger: silentLogger,
  });
  return { keeper, time, events, ends };
}

t.test('a certificate is renewed when a third of its life is left, and not before', async (t) => {
  const given: TlsIdentity[] = [];
  const under = keeperOf({ end: Date.now() + HOUR / 2, put: async (identity) => void given.push(identity) });
  await under.keeper.look();
  t.equal(given.length, 0);
  under.time.now += HOUR / 4;
  await under.keeper.look();
  await under.keeper.look();
  t.equal(given.length, 1);
  t.match(under.events, [{ kind: 'certificate-renewed', level: 'info', message: /fake-a-1 has a new certificate/ }]);
  t.same(under.keeper.complaints, []);
});

t.test('of a machine that was not spoken to yet nothing is known, and nothing is done', async (t) => {
  const under = keeperOf({ end: undefined, put: () => Promise.reject(new Error('no')) });
  await under.keeper.look();
  t.same(under.events, []);
});

t.test('a renewal that fails is told of once, when it becomes urgent, and no more when it was made good', async (t) => {
  let works = false;
  let asked = 0;
  const under = keeperOf({
    end: Date.now() + HOUR / 4,
    put: async () => {
      asked += 1;
      if (!works) throw new CerebroError('unavailable', 'fake-a-1 does not answer');
    },
  });
  await under.keeper.look();
  await under.keeper.look();
  t.equal(asked, 1, 'the next try waits');
  t.same([under.events, under.keeper.complaints], [[], []], 'there is time');
  under.time.now += HOUR / 8;
  await under.keeper.look();
  under.time.now += HOUR / 16;
  await under.keeper.look();
  t.equal(asked, 3);
  t.match(under.events, [
    {
      kind: 'certificate-trouble',
      level: 'error',
      message: /of fake-a-1 ends on .* cannot be renewed: fake-a-1 does not answer/,
    },
  ]);
  t.equal(under.keeper.complaints.length, 1);
  works = true;
  under.time.now += HOUR / 32;
  await under.keeper.look();
  t.equal(under.events.at(-1)?.kind, 'certificate-renewed');
  t.same(under.keeper.complaints, []);
});

t.test('one that has ended is renewed by the provider, or it is said that nobody can', async (t) => {
  const given: string[] = [];
  const put = (): Promise<void> => Promise.reject(new Error('not this way'));
  const able = keeperOf({ end: 0, put, renewIdentity: async (id) => void given.push(id) });
  await able.keeper.look();
  t.same(given, ['fake-a-1']);
  const unable = keeperOf({ end: 0, put });
  await unable.keeper.look();
  t.match(unable.events, [
    { level: 'error', message: /has ended and cannot be renewed: the provider "fake" has no way/ },
  ]);
});

t.test('an authority that nears its own end is told of once', async (t) => {
  const under = keeperOf({ end: undefined, authorityEnd: Date.now() + 100 * 24 * HOUR });
  await under.keeper.look();
  await under.keeper.look();
  t.match(under.events, [{ level: 'error', message: /authority ends on/ }]);
  t.equal(under.keeper.complaints.length, 1);
});

t.test('a machine whose certificate ended while nobody was there is taken back', async (t) => {
  const record = await createAuthority(Date.now() - 4 * HOUR);
  const issue = (now: number): Promise<TlsIdentity> =>
    issueCertificate(record, { kind: 'machine', id: 'm-1' }, now, HOUR);
  const machine = new MachineWithCertificate();
  await machine.start(await issue(Date.now() - 3 * HOUR));
  t.teardown(() => machine.remove());
  const { client, agents } = clientWith(() => issueCertificate(record, { kind: 'cluster-sitter' }, Date.now(), HOUR));
  t.teardown(() => client.close());
  await t.rejects(client.runs(machine.record('m-1'), 'x'), {
    code: 'unavailable',
    message: /its certificate has ended/,
  });
  t.equal(agents.certificateEnd('m-1'), 0, 'the keeper will see that the provider has to help');
  machine.write(await issue(Date.now()));
  await eventually(
    () =>
      client.runs(machine.record('m-1'), 'x').then(
        () => false,
        (error) => error.code === 'not_found',
      ),
    'it answers again',
  );
  t.ok((agents.certificateEnd('m-1') ?? 0) > Date.now());
});
