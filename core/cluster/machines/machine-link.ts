import type { MachineClient } from './machine-client.ts';

/** What the cluster sitter needs of machines: `MachineClient` over the network, something else in a simulation. */
export type MachineLink = Pick<MachineClient, keyof MachineClient>;
