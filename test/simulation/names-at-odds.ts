import { basenameOf, markerName } from '../../core/decide/dns/dns-names.ts';
import type { JobRecord } from '../../core/model/job.ts';
import type { Cloud } from './cloud.ts';
import type { Ledger } from './ledger.ts';
import { NameTruth } from './name-truth.ts';
import type { NameZone } from './name-zone.ts';
import type { NameZones } from './name-zones.ts';
import type { World } from './world.ts';

interface Parts {
  world: World;
  ledger: Ledger;
  cloud: Cloud;
  zones: NameZones;
}

/**
 * Names that are not yet as they should be, in truth: one sentence each. While one service is away nothing is asked: what it holds is
 * not known, so no other is given new names.
 */
export function namesAtOdds(parts: Parts): string[] {
  if (parts.zones.all.some(({ down }) => down)) return [];
  const names = new NameTruth(parts.ledger, parts.cloud, parts.world.settings);
  return parts.zones.all.flatMap((zone) => zoneAtOdds(zone, names, parts));
}

function zoneAtOdds(zone: NameZone, names: NameTruth, { world, ledger, zones }: Parts): string[] {
  const found: string[] = [];
  const wanted = names.wanted();
  const isFree = (name: string): boolean => zones.of(name) === zone && zone.sets.get(`${name}/A`)?.ours !== false;
  for (const [pool, job] of wanted) if (isFree(pool)) found.push(...poolAtOdds(pool, job, zone, names));
  for (const { name, type, ours, values } of zone.sets.values()) {
    if (!ours) continue;
    const record = type === 'A' ? ledger.dns.get(`${name}/A`) : undefined;
    if (type === 'TXT') {
      if (!name.startsWith('_cerebro.') || zone.answer(name.slice('_cerebro.'.length)).length === 0)
        found.push(`${name} marks what is not there`);
    } else if (!record) found.push(`${name} answers with ${values.join(', ')}, and no record knows of it`);
    else if (record.kind === 'pool' && !wanted.has(name)) found.push(`${name} answers, and nobody wants it`);
    else if (record.kind === 'copy' && (record.copy === null || !ledger.copies.has(record.copy)))
      found.push(`${name} is the name of ${record.copy}, which is not there`);
    if (type === 'A' && world.settings.dns_owner_txt && !zone.sets.has(`${markerName(name)}/TXT`))
      found.push(`${name} is not marked as ours`);
  }
  return [...found, ...numbersAtOdds(zone, names, ledger, zones)];
}

function poolAtOdds(pool: string, job: JobRecord, zone: NameZone, names: NameTruth): string[] {
  const serving = names.members(pool).filter((copy) => copy.wanted === 'run' && names.serves(copy));
  const addresses = new Set(serving.flatMap((copy) => names.machine(copy)?.address ?? []));
  // With nobody ready, the last answer stays; or there never was one.
  if (addresses.size === 0) return [];
  const answer = zone.answer(pool);
  const most = Math.min(addresses.size, zone.maxValues ?? addresses.size);
  const isRight = answer.length === most && answer.every((value) => addresses.has(value));
  const sentence = `${pool} answers with ${answer.join(', ') || 'nothing'}, and "${job.name}" is at ${[...addresses].join(', ')}`;
  return isRight ? [] : [sentence];
}

/** Every copy that is to go on has one name of its own, which leads to it. */
function numbersAtOdds(zone: NameZone, names: NameTruth, ledger: Ledger, zones: NameZones): string[] {
  const found: string[] = [];
  for (const copy of ledger.copies.values()) {
    const job = ledger.jobs.get(copy.job);
    const basename = job ? basenameOf(job.spec) : null;
    const address = names.machine(copy)?.address ?? null;
    if (basename === null || zones.of(basename) !== zone || copy.wanted === 'stop' || ledger.isLeft(copy)) continue;
    const own = [...ledger.dns.values()].filter((record) => record.copy === copy.id);
    const [name, ...more] = own.map((record) => record.name);
    if (name === undefined || more.length > 0) found.push(`${copy.id} has ${own.length} names of its own`);
    else if (address === null || zone.answer(name).join() !== address)
      found.push(`${name} leads to ${zone.answer(name).join(', ') || 'nothing'}, and ${copy.id} is at ${address}`);
  }
  return found;
}
