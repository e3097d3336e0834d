import fc from 'fast-check';
import t from 'tap';
import { type DnsFixture, type Sending, web } from './dns-fixture.ts';

const POOL = 'local-a.web.test';
const TTL_MS = 30_000;
const PATIENCE_MS = 30_000;
const COPIES = [1, 2, 3, 4];

/** What happens in a cluster, in any order. Copy N is on machine N, which has the address 10.0.0.N. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('starts' as const), n: fc.constantFrom(...COPIES) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fails' as const), n: fc.constantFrom(...COPIES) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('is to stop' as const), n: fc.constantFrom(...COPIES) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('is to be rolled' as const), n: fc.constantFrom(...COPIES) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('dies with its machine' as const), n: fc.constantFrom(...COPIES) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('is foreign' as const), n: fc.constantFrom(0, 1, 2, 3) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('time' as const), n: fc.constantFrom(100, 3000, 10_000, 29_900) }),
  },
);
const sending = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Sending>('works') },
  { weight: 1, arbitrary: fc.constant<Sending>('is away') },
  { weight: 1, arbitrary: fc.constant<Sending>('loses its answers') },
);
const history = fc.array(fc.tuple(step, sending), { minLength: 5, maxLength: 40 });

/** The cluster's part of the story: what runs, and when a process is ended by us. */
class Story {
  readonly dns: DnsFixture = web({ 'local-a': 4 });
  readonly foreign = new Map<string, readonly string[]>();
  readonly numbers = new Map<string, number>();
  /** When the pool last led to an address. */
  readonly told = new Map<string, number>();
  #serial = 0;
  readonly #onMachine = new Map<number, string>();

  happens({ kind, n }: { kind: string; n: number }): void {
    const { dns } = this;
    const copy = this.#onMachine.get(n) ?? '';
    switch (kind) {
      case 'time':
        dns.now += n;
        for (const machine of dns.cluster.machines.keys()) dns.heard(machine);
        return;
      case 'starts':
        if (copy === '') this.#place(n);
        else dns.task(copy, { phase: 'running' });
        return;
      case 'fails':
        dns.task(copy, { phase: 'backoff' });
        return;
      case 'is to stop':
        if (dns.cluster.copies.get(copy)?.wanted === 'run') dns.setCopy(copy, { wanted: 'stop' });
        return;
      case 'is to be rolled': {
        const record = dns.cluster.copies.get(copy);
        if (record?.wanted === 'run' && record.version === record.taskVersion)
          dns.setCopy(copy, { version: record.version + 1 });
        return;
      }
      case 'dies with its machine':
        this.#ends(copy, n);
        return;
      case 'is foreign': {
        const name = `${n}.${POOL}`;
        // Only where nothing of ours is, or is just on its way.
        if (dns.answers()[name] !== undefined || dns.record(name) !== undefined) return;
        dns.theirs(name, ['203.0.113.9']);
        this.foreign.set(name, ['203.0.113.9']);
      }
    }
  }

  /** Whatever is to be ended and is not held any more, is. */
  executes(): void {
    const { dns } = this;
    const held = new Set(dns.holds());
    for (const [n, id] of [...this.#onMachine]) {
      const copy = dns.cluster.copies.get(id);
      if (!copy || held.has(id) || (copy.wanted === 'run' && copy.taskVersion === copy.version)) continue;
      this.#checkEnd(id, `10.0.0.${n}`, copy.changedAt, copy.wanted);
      if (copy.wanted === 'stop') this.#ends(id, n);
      else {
        dns.setCopy(id, { taskVersion: copy.version, changedAt: copy.changedAt });
        dns.task(id, { version: copy.version, phase: 'starting' });
      }
    }
  }

  check(): void {
    const { dns } = this;
    const answers = dns.answers();
    const before = this.told.size > 0;
    const pool = answers[POOL] ?? [];
    if (before && pool.length === 0) throw new Error('the pool answers with nothing');
    for (const address of pool) this.told.set(address, dns.now);
    for (const [name, values] of this.foreign)
      if (JSON.stringify(answers[name]) !== JSON.stringify(values)) throw new Error(`${name} is not ours`);
    for (const { copy, number, published } of dns.records.values()) {
      // A number that turns out to be somebody else's is never told, and another is taken.
      if (copy === null || number === null || published === null) continue;
      const known = this.numbers.get(copy);
      if (known !== undefined && known !== number) throw new Error(`${copy} was ${known} and is ${number}`);
      this.numbers.set(copy, number);
    }
    const owners = [...dns.records.values()].flatMap(({ copy }) => copy ?? []);
    if (new Set(owners).size !== owners.length) throw new Error('a copy has two names');
  }

  #place(n: number): void {
    const id = `web.${++this.#serial}`;
    this.dns.machineWith(`local-a-${n}`, `10.0.0.${n}`);
    this.dns.running(id, `local-a-${n}`, { changedAt: this.dns.now });
    this.#onMachine.set(n, id);
  }

  #ends(id: string, n: number): void {
    this.dns.task(id, { phase: 'stopped' });
    this.dns.forget(id);
    this.#onMachine.delete(n);
  }

  #checkEnd(id: string, address: string, changedAt: number, wanted: string): void {
    const { now } = this.dns;
    const last = this.told.get(address);
    if (last === undefined || now - last >= TTL_MS) return;
    if (now >= changedAt + TTL_MS + PATIENCE_MS) return;
    // Of the last that answers, a restart waits for nobody.
    if (wanted === 'run' && this.dns.ready().filter((other) => other !== id).length === 0) return;
    throw new Error(`${id} was ended ${now - last} ms after the pool had led to it`);
  }
}

t.test('whatever happens, and whatever becomes of what is sent', async (t) => {
  fc.assert(
    fc.property(history, (steps) => {
      const story = new Story();
      for (const [happening, how] of steps) {
        story.happens(happening);
        story.check();
        story.executes();
        story.dns.settle(how);
        story.check();
        story.executes();
      }
      // At last all is quiet, and everything is as it should be.
      story.dns.now += 1000;
      story.dns.settle();
      story.check();
      const ready = story.dns
        .ready()
        .map((id) => story.dns.addressOf(id))
        .sort();
      const pool = [...(story.dns.answers()[POOL] ?? [])].sort();
      if (ready.length > 0 && JSON.stringify(ready) !== JSON.stringify(pool))
        throw new Error(`${ready} are ready, and the pool answers ${pool}`);
    }),
    { numRuns: 400, seed: 20_261_130 },
  );
  t.ok(true, '400 histories');
});
