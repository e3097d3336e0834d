import { getEventListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Change } from '../../core/contracts/state-store.ts';
import { EtcdKeys } from '../../plugins/store-etcd/etcd-keys.ts';
import { EtcdStore } from '../../plugins/store-etcd/etcd-store.ts';
import { EtcdWatch } from '../../plugins/store-etcd/etcd-watch.ts';
import { config } from '../../plugins/store-etcd/schema.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

type WatchClient = ConstructorParameters<typeof EtcdWatch>[0]['client'];

t.test('a watch of an etcd that was put back to an older state, or made anew, says so', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await EtcdServer.start();
  t.teardown(() => server.remove());
  const services = { clock: new QuickClock(5), logger: silentLogger };
  const store = new EtcdStore(services, config.parse({ endpoints: [server.url], timeout: 60 }));
  t.teardown(() => store.stop());
  await store.start();
  for (const value of [1, 2, 3, 4, 5]) await store.commit({ write: [{ put: 'a', value }] });
  const errors: Error[] = [];
  const heard: Change[] = [];
  const follow = async (): Promise<void> => {
    const { revision } = await store.list('');
    store.watch(
      '',
      revision,
      (changes) => heard.push(...changes),
      (error) => errors.push(error),
    );
  };
  await follow();
  await server.kill();
  await server.start();
  await store.commit({ write: [{ put: 'a', value: 6 }] });
  await eventually(() => heard.length === 1, 'after a mere restart it goes on');
  t.same(errors, []);
  await server.kill();
  rmSync(join(server.folder, 'data'), { recursive: true });
  await server.start();
  await eventually(() => errors.length > 0, 'the watch ends');
  t.match(errors, [{ code: 'conflict', message: /older state.*list again/ }]);
  await follow();
  await server.ask('/v3/kv/put', { key: Buffer.from('cerebro/data/b').toString('base64'), value: 'MQ==' });
  await eventually(() => heard.length === 2, 'a new one hears of the new history');
  t.match(heard[1], { key: 'b', value: 1 });
});

t.test('a watch that etcd does not take leaves nothing behind with each try', async (t) => {
  let tries = 0;
  let signal: AbortSignal | undefined;
  const client = {
    stream: async (): Promise<never> => {
      tries += 1;
      throw new Error('nobody is there');
    },
    call: async (...[, , , options]: Parameters<WatchClient['call']>): Promise<never> => {
      signal = options?.signal;
      throw new Error('nobody is there');
    },
    passOn: () => undefined,
  };
  const parts = { client, keys: new EtcdKeys('cerebro/'), clock: new QuickClock(1000), logger: silentLogger };
  const watch = new EtcdWatch({ ...parts, prefix: '', onChanges: () => undefined, onError: t.fail }, 1);
  const run = watch.run();
  await eventually(() => tries > 30 && signal !== undefined, 'it was tried often');
  if (!signal) throw new Error('it has looked');
  t.ok(getEventListeners(signal, 'abort').length <= 1, 'only who waits now');
  watch.close();
  await run;
  t.same(getEventListeners(signal, 'abort'), []);
});
