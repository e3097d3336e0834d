import { type MachineRecord, sizeOf } from '../../model/machine.ts';
import { type ClusterSnapshot, type MachineContact, sizeKey } from '../../model/plan.ts';
import { suits } from './sizes.ts';
import type { WorkingState } from './working-state.ts';

const NEVER_HEARD: MachineContact = {
  heardAt: 0,
  connected: false,
  providerSays: 'unknown',
  trouble: null,
  tasks: null,
};

export type Health = 'ok' | 'suspect' | 'unreachable';

/** How a machine that should be serving looks from here, beside its state. A cluster sitter that just started has heard nobody yet. */
export function healthOf(
  machine: MachineRecord,
  snapshot: Pick<ClusterSnapshot, 'now' | 'startedAt' | 'contacts' | 'limits'>,
): Health {
  const silence = silenceOf(machine, snapshot);
  if (silence >= snapshot.limits.unreachableAfterMs) return 'unreachable';
  return silence >= snapshot.limits.suspectAfterMs ? 'suspect' : 'ok';
}

/** When a machine that stays silent is given up, unless a brake holds (ms since the epoch). */
export function lostAt(
  machine: MachineRecord,
  snapshot: Pick<ClusterSnapshot, 'now' | 'startedAt' | 'contacts' | 'limits'>,
): number {
  const heard = snapshot.now - silenceOf(machine, snapshot);
  return Math.max(heard + snapshot.limits.lostAfterMs, snapshot.startedAt + snapshot.limits.startupGraceMs);
}

function silenceOf(machine: MachineRecord, snapshot: Pick<ClusterSnapshot, 'now' | 'startedAt' | 'contacts'>): number {
  const contact = snapshot.contacts.get(machine.id) ?? NEVER_HEARD;
  return snapshot.now - Math.max(contact.heardAt, snapshot.startedAt, machine.stateSince);
}

/**
 * Moves each machine along its life, and gives up those that are lost.
 *
 * Evidence, strongest first: the provider says that the instance is gone; it never answered within the boot deadline;
 * it has been silent for `lostAfter`. Silence alone is weak, for it may be ours: it counts only when this cluster sitter has been
 * up for a while, and not when so many are silent at once that the network is the likelier cause (the brake).
 */
export function judgeMachines(work: WorkingState): void {
  const { snapshot } = work;
  const silent: MachineRecord[] = [];
  for (const machine of snapshot.machines.values()) {
    if (machine.state === 'lost' || machine.state === 'terminating') continue;
    const contact = snapshot.contacts.get(machine.id) ?? NEVER_HEARD;
    // One that was adopted, and whose sitter does not come up yet, was not ours to begin with: its tasks may run on.
    const isComing = machine.state === 'deploying' && contact.providerSays === 'stopped';
    if (!isComing && (contact.providerSays === 'gone' || contact.providerSays === 'stopped')) {
      if (machine.state !== 'requested') lose(work, machine, `the provider says that it is ${contact.providerSays}`);
      continue;
    }
    if (machine.state === 'requested' && giveUpSize(work, machine)) continue;
    if (machine.state === 'ready' || machine.state === 'draining') {
      if (machine.state === 'ready') emptyIfIll(work, machine, contact);
      if (judgeServing(work, machine)) silent.push(machine);
    } else {
      judgeBooting(work, machine, contact);
    }
  }
  loseTheSilent(work, silent);
}

function judgeBooting(work: WorkingState, machine: MachineRecord, contact: MachineContact): void {
  const { now, limits } = work.snapshot;
  if (contact.connected && machine.endpoint !== null) {
    work.actions.push({
      kind: 'machine-state',
      machine: machine.id,
      to: 'ready',
      reason: 'its machine sitter answers',
    });
    return;
  }
  // From when it was had: an order may have waited long for a size that was sold out.
  const deadline = Math.max(machine.createdAt, machine.stateSince) + limits.bootDeadlineMs;
  if (machine.state === 'deploying') {
    // It was not ours to begin with: it is not ended because we cannot get in.
    if (now < deadline) {
      work.wake(deadline);
      return;
    }
    const reason = machine.lastError ?? 'its machine sitter does not answer';
    work.complain(
      { machine: machine.id, zone: machine.zone },
      `${machine.id} is to be adopted, and that does not come about: ${reason}; it is tried on. To end it: cerebro drain ${machine.id}`,
      `machine/${machine.id}`,
    );
  } else if (now >= deadline && machine.ref !== null) {
    lose(work, machine, `not ready ${Math.round(limits.bootDeadlineMs / 1000)} s after it was had`);
  } else {
    work.wake(deadline);
  }
}

/** true: it has been silent for so long that it may be given up. */
function judgeServing(work: WorkingState, machine: MachineRecord): boolean {
  const { now, limits } = work.snapshot;
  const silence = silenceOf(machine, work.snapshot);
  for (const threshold of [limits.suspectAfterMs, limits.unreachableAfterMs, limits.lostAfterMs]) {
    if (silence < threshold) {
      work.wake(now + threshold - silence);
      break;
    }
  }
  return silence >= limits.lostAfterMs;
}

/**
 * A machine that the provider warns of, or whose replacement is ready, is emptied while it still works. What was said of it before it was
 * ready does not count: it was what kept it from that.
 */
function emptyIfIll(work: WorkingState, machine: MachineRecord, contact: MachineContact): void {
  const successor = work.successors.get(machine.id);
  const warning = contact.trouble && contact.trouble.askedAt > machine.stateSince ? contact.trouble.sentence : null;
  const reason = warning ?? (successor?.state === 'ready' ? `${successor.id} is there to replace it` : null);
  if (reason !== null) work.actions.push({ kind: 'machine-state', machine: machine.id, to: 'draining', reason });
}

/** An order for a size that the zone has none of is withdrawn where another size may do, or another zone; its copies are placed anew. */
function giveUpSize(work: WorkingState, machine: MachineRecord): boolean {
  const { snapshot } = work;
  const isSoldOut = (size: Parameters<typeof sizeKey>[1]): boolean =>
    (snapshot.soldOut.get(sizeKey(machine.zone, size)) ?? 0) > snapshot.now;
  if (!isSoldOut(sizeOf(machine)) || machine.ref !== null) return false;
  const isOnSale = snapshot.types(machine.zone).some((type) => !isSoldOut(type));
  if (!isOnSale && !mayGoElsewhere(snapshot, machine)) return false;
  const reason = `${machine.zone} has no ${machine.type} just now`;
  work.actions.push({ kind: 'machine-state', machine: machine.id, to: 'terminating', reason });
  work.withdrawn.add(machine.id);
  return true;
}

/** Whether a copy that waits for this machine may be placed in another zone, where its job allows a size that is not sold out. */
function mayGoElsewhere(snapshot: ClusterSnapshot, machine: MachineRecord): boolean {
  for (const copy of snapshot.copies.values()) {
    if (copy.machine !== machine.id || copy.wanted !== 'run') continue;
    const job = snapshot.jobs.get(copy.job);
    const zones = [copy.zone, ...(job?.spec.deployment_layout[copy.zone]?.fallback ?? [])];
    for (const zone of zones) {
      if (zone === machine.zone) continue;
      const has = snapshot.types(zone).some((type) => {
        const until = snapshot.soldOut.get(sizeKey(zone, type)) ?? 0;
        return (
          until <= snapshot.now &&
          type.cpu >= copy.cpu &&
          type.mem >= copy.mem &&
          job &&
          suits(type.name, type.labels ?? {}, job)
        );
      });
      if (has) return true;
    }
  }
  return false;
}

function loseTheSilent(work: WorkingState, silent: readonly MachineRecord[]): void {
  if (silent.length === 0) return;
  const { snapshot } = work;
  const calmFrom = snapshot.startedAt + snapshot.limits.startupGraceMs;
  if (snapshot.now < calmFrom) {
    work.wake(calmFrom);
    return;
  }
  const serving = [...snapshot.machines.values()].filter((m) => m.state === 'ready' || m.state === 'draining');
  const all = countByZone(serving);
  // Beats come at different moments, so what one cut silences reaches `lostAfter` one after another: who cannot be reached by now counts.
  // And when the cut heals they come back one after another: the first to be heard again do not condemn the rest.
  const failing = countByZone(serving.filter((m) => isAway(m, snapshot)));
  const everywhere = all.size > 1 && [...all.keys()].every((zone) => failing.get(zone) === all.get(zone));
  for (const machine of silent) {
    const [down, among] = [failing.get(machine.zone) ?? 0, all.get(machine.zone) ?? 0];
    // Its replacement was ordered by a person, who knows better than a share; not better than that all is silent, as when we are cut off.
    const successor = work.successors.get(machine.id);
    const isReplaced = machine.state === 'draining' && successor?.state === 'ready' && !isAway(successor, snapshot);
    const braked = everywhere || (!isReplaced && down > 1 && down / among > snapshot.limits.replaceBrake);
    if (!braked) {
      lose(work, machine, `not heard for ${Math.round(silenceOf(machine, snapshot) / 1000)} s`);
      continue;
    }
    const what = everywhere
      ? 'every zone is or was silent'
      : `${down} of ${among} machines of ${machine.zone} are or were silent`;
    work.wake(snapshot.now + snapshot.limits.suspectAfterMs);
    work.complain(
      { machine: machine.id, zone: machine.zone },
      `${machine.id} is not replaced: ${what} at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace ${machine.id}`,
      `brake/${everywhere ? '*' : machine.zone}`,
    );
  }
}

/** It cannot be reached, or could not be a short while ago. */
function isAway(machine: MachineRecord, snapshot: ClusterSnapshot): boolean {
  if (silenceOf(machine, snapshot) >= snapshot.limits.unreachableAfterMs) return true;
  const backSince = snapshot.contacts.get(machine.id)?.backSince;
  return backSince !== undefined && snapshot.now - backSince < snapshot.limits.lostAfterMs;
}

function lose(work: WorkingState, machine: MachineRecord, reason: string): void {
  work.actions.push({ kind: 'machine-state', machine: machine.id, to: 'lost', reason });
  work.lost.push(machine);
}

function countByZone(machines: readonly MachineRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const machine of machines) counts.set(machine.zone, (counts.get(machine.zone) ?? 0) + 1);
  return counts;
}
