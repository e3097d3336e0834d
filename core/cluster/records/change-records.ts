import type { CopyRecord } from '../../model/copy.ts';
import type { NewEvent } from '../../model/event.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { type ClusterRecords, keys } from './cluster-records.ts';

type Writable = Pick<ClusterRecords, 'machines' | 'copies' | 'transact'>;

/** Changes the record of a machine, if there is one and `change` has something to change. `trouble`: what is told when its last error is another one. */
export async function changeMachine(
  records: Writable,
  id: string,
  change: (record: MachineRecord) => MachineRecord | null,
  trouble?: string,
): Promise<void> {
  await records.transact(() => {
    const before = records.machines.get(id);
    const after = before && change(before);
    if (!before || !after) return null;
    const events: NewEvent[] = [];
    if (trouble !== undefined && before.lastError !== after.lastError)
      events.push({ level: 'warn', kind: 'machine-trouble', message: trouble, machine: id });
    if (before.state !== after.state)
      events.push({
        level: 'info',
        kind: `machine-${after.state}`,
        message: `${id} is ${after.state} as ${after.ref}`,
        machine: id,
      });
    return { write: [{ put: keys.machine(id), value: after }], events };
  });
}

/** The same of a copy. */
export async function changeCopy(
  records: Writable,
  id: string,
  change: (record: CopyRecord) => CopyRecord | null,
  trouble?: string,
): Promise<void> {
  await records.transact(() => {
    const before = records.copies.get(id);
    const after = before && change(before);
    if (!before || !after) return null;
    const events: NewEvent[] = [];
    if (trouble !== undefined && before.lastError !== after.lastError) {
      events.push({
        level: 'warn',
        kind: 'copy-trouble',
        message: trouble,
        job: before.job,
        machine: before.machine,
        copy: id,
      });
    }
    return { write: [{ put: keys.copy(id), value: after }], events };
  });
}
