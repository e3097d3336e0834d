import { createHash } from 'node:crypto';

/** The address that every local machine has unless it has one of its own. */
export const SHARED_ADDRESS = '127.0.0.1';

/** The second octets that are given away; below are those that other programs like to use. */
const FIRST = 64;
const SPAN = 190;
/** Machines that can be told apart in one zone of one cluster. */
const MACHINES = 65_000;

/**
 * An address in 127.0.0.0/8 for one machine: the same for its whole life, since it follows from its name, and another for each
 * machine of a zone, since their numbers are never used twice. Clusters and zones are kept apart as far as there is room.
 */
export function ownAddress(clusterId: string, machineId: string): string {
  const [, zone = machineId, digits = '0'] = /^(.*)-(\d+)$/.exec(machineId) ?? [];
  const place = createHash('sha256').update(`${clusterId} ${zone}`).digest().readUInt16BE(0) % SPAN;
  const number = (Number(digits) % MACHINES) + 1;
  return `127.${FIRST + place}.${number >> 8}.${number & 255}`;
}
