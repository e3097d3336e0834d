import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Clock } from '../../core/contracts/clock.ts';
import { CallBudget } from '../../providers/ec2/call-budget.ts';
import { hostKeyOf } from '../../providers/ec2/host-key.ts';
import { parsePrices, priceOf } from '../../providers/ec2/price-table.ts';
import prices from '../../providers/ec2/prices.json' with { type: 'json' };
import { userData } from '../../providers/ec2/user-data.ts';
import type { DeployedSitter, SitterTarget } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { skipUnless } from '../fakes/needs.ts';
import { eventually } from '../suites/eventually.ts';
import { CLUSTER, Ec2UnderTest, orderOf } from './ec2-under-test.ts';

t.test('the host key follows from the order, and OpenSSH reads it', async (t) => {
  if (skipUnless(t, existsSync('/usr/bin/ssh-keygen'), 'there is no ssh-keygen: apt-get install openssh-client'))
    return;
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-key-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const key = hostKeyOf({ token: 'token', intent: 'intent' });
  writeFileSync(join(folder, 'key'), key.privateKey, { mode: 0o600 });
  const read = execFileSync('ssh-keygen', ['-y', '-f', join(folder, 'key')], { encoding: 'utf8' });
  t.equal(read.trim(), key.publicKey);
  t.same(hostKeyOf({ token: 'token', intent: 'intent' }), key);
  t.not(hostKeyOf({ token: 'token', intent: 'other' }).publicKey, key.publicKey);
  t.not(hostKeyOf({ token: 'other', intent: 'intent' }).publicKey, key.publicKey);
});

t.test('prices: the settings first, then the table, by region', async (t) => {
  const table = parsePrices(prices);
  t.equal(priceOf('t3.micro', 'us-east-1', table, {}), 0.0104);
  t.equal(priceOf('m6i.xlarge', 'us-west-2', table, {}), 0.192);
  t.ok((priceOf('m6i.xlarge', 'sa-east-1', table, {}) ?? 0) > 0.192);
  t.ok((priceOf('m6i.xlarge', 'xx-new-1', table, {}) ?? 0) > 0.192);
  t.equal(priceOf('m6i.xlarge', 'us-west-2', table, { 'm6i.xlarge': 1 }), 1);
  t.equal(priceOf('m6i.xlarge', 'us-west-2', table, { 'm6i.xlarge': 1, 'us-west-2/m6i.xlarge': 2 }), 2);
  t.equal(priceOf('z99.large', 'us-west-2', table, {}), undefined);
});

t.test('user data that is too long for EC2 is refused before EC2 is asked', async (t) => {
  const hostKey = hostKeyOf({ token: 'token', intent: 'intent' });
  t.throws(() => userData({ hostKey, authorizedKeys: [], script: 'x'.repeat(17_000) }), { code: 'invalid' });
});

t.test('a region is asked at its rate, more slowly when it complains, and never after the deadline', async (t) => {
  let now = 0;
  const waits: number[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    timer: (ms, callback) => {
      waits.push(Math.round(ms));
      const timer = setImmediate(() => {
        now += ms;
        callback();
      });
      return { cancel: () => clearImmediate(timer) };
    },
  };
  const budget = new CallBudget(clock, 10);
  const signal = new AbortController().signal;
  for (let i = 0; i < 40; i += 1) await budget.take(signal);
  t.same(waits, [], 'some may come at once');
  await budget.take(signal);
  t.same(waits, [100]);
  budget.throttled();
  await budget.take(signal);
  t.same(waits, [100, 200], 'half the rate');
  for (let i = 0; i < 20; i += 1) budget.answered();
  now += 1000;
  for (let i = 0; i < 10; i += 1) await budget.take(signal);
  await budget.take(signal);
  t.equal(waits.at(-1), 100, 'and the whole one again');
  const late = new AbortController();
  const taking = budget.take(late.signal);
  late.abort(new Error('too late'));
  await t.rejects(taking, /too late/);
});

t.test('a machine is prepared once it runs, again after a failure, and by whoever comes after a restart', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  under.standIn.world.bootMs = 100;
  const prepared: string[] = [];
  let failures = 1;
  let answers = false;
  const greeted: string[] = [];
  const greet = async (machineId: string): Promise<void> => {
    if (!answers) throw new Error('nobody is there');
    greeted.push(machineId);
  };
  const sitters = {
    deploy: async ({ machineId, address, port }: SitterTarget): Promise<DeployedSitter> => {
      if (failures-- > 0) throw new Error('no room');
      prepared.push(machineId);
      return { endpoint: `https://${address}:${port}`, changed: true };
    },
  };
  const first = under.provider({}, { sitters, greet });
  await first.start();
  await first.create(orderOf('m-1'));
  await eventually(async () => {
    const [found] = await first.describe(CLUSTER);
    return found?.trouble === 'it could not be prepared: no room';
  }, 'the failure is told');
  await eventually(() => prepared.length > 0, 'it is tried again');
  await eventually(async () => !(await first.describe(CLUSTER))[0]?.trouble, 'and no trouble any more');
  t.same(prepared, ['m-1']);

  answers = true;
  await first.create(orderOf('m-3'));
  await eventually(async () => (await first.describe(CLUSTER)).length === 2, 'another runs');
  await eventually(() => greeted.includes('m-3'), 'its sitter answers already');
  t.same(prepared, ['m-1'], 'and is left alone');
  answers = false;

  under.standIn.world.bootMs = 60_000;
  await first.create(orderOf('m-2'));
  await first.stop();
  const second = under.provider({}, { sitters, greet });
  await second.start();
  under.standIn.world.bootMs = 0;
  await eventually(() => prepared.includes('m-2'), 'the order of before is taken up');
  t.same(prepared, ['m-1', 'm-2']);
});

t.test('a preparation that hangs is broken off when its machine is ended', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  let begun = false;
  const provider = under.provider(
    {},
    {
      sitters: {
        deploy: ({ signal }) => {
          begun = true;
          return new Promise((_resolve, reject) =>
            signal?.addEventListener('abort', () => reject(new Error('broken off'))),
          );
        },
      },
    },
  );
  await provider.start();
  await provider.create(orderOf('m-1'));
  await eventually(() => begun, 'it has begun');
  await provider.destroy(CLUSTER, 'm-1');
  t.same(under.standIn.world.living(), []);
});
