import { z } from 'zod';
import type { Instance, MachineOrder, MachineProvider } from '../../core/contracts/machine-provider.ts';
import { definePlugin } from '../../core/define-plugin.ts';
import { askFleet } from './ask-fleet.ts';

/** The provider through which a cluster sitter orders simulated machines. */
export const plugin = definePlugin({
  id: 'provider-fleet',
  point: 'machine-provider',
  config: z.strictObject({ url: z.string() }),
  needs: [],
  create: (_services, { url }): MachineProvider => ({
    name: 'fleet',
    start: async () => undefined,
    stop: async () => undefined,
    types: (zone) => (zone === 'fleet-a' ? [{ name: 'ten', cpu: 10, mem: 10_000 }] : []),
    create: (order: MachineOrder) => askFleet<Instance>(url, '/create', order),
    describe: () => askFleet<Instance[]>(url, '/describe'),
    destroy: async (_clusterId, machineId) => {
      await askFleet(url, '/destroy', { machineId });
    },
    remote: async () => {
      throw new Error('nobody lays hands on a simulated machine');
    },
    onChange: () => undefined,
  }),
});
