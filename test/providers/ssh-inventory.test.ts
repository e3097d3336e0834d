import t from 'tap';
import { hostsFor, inventoryOf, typesOf } from '../../providers/ssh/inventory.ts';
import { config } from '../../providers/ssh/schema.ts';

const hosts = inventoryOf(
  config.parse({
    access: { user: 'deploy' },
    zones: {
      rack1: {
        hosts: [
          { name: 'a', address: '10.0.0.1', cpu: 8, mem: 16_384, labels: { disk: 'ssd', rack: '1' } },
          { name: 'b', address: '10.0.0.2', cpu: 8, mem: 16_384 },
          { name: 'c', address: '10.0.0.3', cpu: 8, mem: 16_384, labels: { disk: 'ssd' } },
          { name: 'd', address: '10.0.0.4', cpu: 2, mem: 2048 },
        ],
      },
    },
  }),
  'ssh',
);

t.test('a size is called the same whatever its labels, and is on sale with each set of them', async (t) => {
  t.same(
    typesOf(hosts, 'ssh-rack1').map(({ name, labels }) => [name, labels ?? {}]),
    [
      ['ssh.2x2048', {}],
      ['ssh.8x16384', {}],
      ['ssh.8x16384', { disk: 'ssd' }],
      ['ssh.8x16384', { disk: 'ssd', rack: '1' }],
    ],
  );
  t.same(typesOf(hosts, 'ssh-rack2'), []);
});

t.test('an order is given the host with the fewest labels beyond those that it asks for', async (t) => {
  const ids = (labels?: Record<string, string>): string[] => {
    const type = { name: 'ssh.8x16384', cpu: 8, mem: 16_384, ...(labels && { labels }) };
    return hostsFor(hosts, { zone: 'ssh-rack1', type }).map(({ id }) => id);
  };
  t.same(ids(), ['rack1/b', 'rack1/c', 'rack1/a']);
  t.same(ids({ disk: 'ssd' }), ['rack1/c', 'rack1/a']);
  t.same(ids({ disk: 'nvme' }), []);
});
