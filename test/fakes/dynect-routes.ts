import type { DynectStandIn, DynRequest } from './dynect-stand-in.ts';
import { DynFault, type DynRecord, type DynZone } from './dynect-zones.ts';

/** The rdata that each type of record has. */
const RDATA: Record<string, string> = { A: 'address', TXT: 'txtdata', CNAME: 'cname' };

/** Zones, records, changes and tasks: everything but sessions and jobs. Throws DynFault. */
export function dynRoutes(dyn: DynectStandIn, asked: DynRequest): unknown {
  const [resource = '', zoneName] = asked.path;
  if (resource === 'Zone' && zoneName === undefined && asked.method === 'GET')
    return [...dyn.zones.keys()].map((name, n) => `/REST/Zone/${name}${n % 2 === 0 ? '/' : ''}`);
  if (resource === 'Task') return task(dyn, asked);
  const zone = dyn.zones.get(zoneName ?? '');
  if (!zone) throw new DynFault('NOT_FOUND', 'zone: No such zone', 404);
  if (resource === 'Zone') return publish(dyn, asked, zone);
  if (resource === 'ZoneChanges' && asked.method === 'DELETE') return discarded(zone.discard(asked.token));
  if (resource === 'AllRecord' && asked.method === 'GET') return allRecords(zone, asked);
  const type = /^([A-Z]+)Record$/.exec(resource)?.[1];
  if (type !== undefined && RDATA[type]) return changeRecords(dyn, asked, zone, type);
  throw new DynFault('INVALID_REQUEST', `there is no ${asked.method} ${asked.path.join('/')}`, 404);
}

function task(dyn: DynectStandIn, asked: DynRequest): object {
  const zone = [...dyn.zones.values()].find(({ task }) => String(task?.id) === asked.path[1]);
  if (!zone?.task) throw new DynFault('NOT_FOUND', 'task: No such task', 404);
  zone.task.looksLeft -= 1;
  const done = zone.task.looksLeft <= 0;
  const found = { task_id: String(zone.task.id), zone_name: zone.name, status: done ? dyn.taskEnd : 'running' };
  if (done) zone.task = null;
  return found;
}

function publish(dyn: DynectStandIn, asked: DynRequest, zone: DynZone): object {
  if (asked.method !== 'PUT' || asked.body.publish !== true) throw new DynFault('INVALID_REQUEST', 'only publish');
  expectKeys(asked.body, ['publish', 'notes']);
  refuseWhileBusy(dyn, zone);
  if (zone.pendingOf(asked.token) === 0) dyn.violations.push('nothing was there to be published');
  const id = dyn.nextId();
  zone.publish(asked.token, id, dyn.taskLooks);
  return { task_id: String(id), serial: zone.serial, serial_style: 'increment', zone: zone.name, zone_type: 'Primary' };
}

function discarded(count: number): object {
  return { discarded: count };
}

/** A node and all below it, by type, empty ones too. One without records of its own is said not to be there, as is unkind and may be so. */
function allRecords(zone: DynZone, asked: DynRequest): object {
  if (!asked.detail) throw new DynFault('INVALID_REQUEST', 'the stand-in has it with detail=Y only');
  const node = asked.path[2] ?? zone.name;
  const found = zone.seenBy(asked.token).filter(({ fqdn }) => fqdn === node || fqdn.endsWith(`.${node}`));
  if (!found.some(({ fqdn }) => fqdn === node) && node !== zone.name)
    throw new DynFault('NOT_FOUND', 'node: Node is not in the zone', 404);
  const ofType = (type: string): DynRecord[] => found.filter((record) => record.record_type === type);
  return { a_records: ofType('A'), txt_records: ofType('TXT'), cname_records: ofType('CNAME'), mx_records: [] };
}

function changeRecords(dyn: DynectStandIn, asked: DynRequest, zone: DynZone, type: string): unknown {
  const fqdn = asked.path[2];
  if (fqdn === undefined || (fqdn !== zone.name && !fqdn.endsWith(`.${zone.name}`)))
    throw new DynFault('INVALID_DATA', 'fqdn: Not in zone');
  if (asked.path.length !== 3) dyn.violations.push(`more path than was thought of: ${asked.path.join('/')}`);
  const there = zone.seenBy(asked.token).some((record) => record.fqdn === fqdn && record.record_type === type);
  if (asked.method === 'POST') {
    refuseWhileBusy(dyn, zone);
    return zone.add(asked.token, { fqdn, record_type: type, ...recordIn(asked.body, type) });
  }
  if (!there) throw new DynFault('NOT_FOUND', 'node: Not in zone', 404);
  refuseWhileBusy(dyn, zone);
  if (asked.method === 'DELETE') {
    zone.deleteSet(asked.token, fqdn, type);
    return {};
  }
  if (asked.method !== 'PUT') throw new DynFault('INVALID_REQUEST', `no ${asked.method} here`);
  expectKeys(asked.body, [`${type}Records`]);
  const records = asked.body[`${type}Records`];
  if (!Array.isArray(records) || records.length === 0) throw new DynFault('MISSING_DATA', 'records: none');
  const read = records.map((record) => recordIn(record, type));
  zone.deleteSet(asked.token, fqdn, type);
  return read.map((record) => zone.add(asked.token, { fqdn, record_type: type, ...record }));
}

function recordIn(body: Record<string, unknown>, type: string): { rdata: Record<string, unknown>; ttl: number } {
  expectKeys(body, ['rdata', 'ttl']);
  const { rdata, ttl } = body;
  const key = RDATA[type] ?? '';
  if (typeof rdata !== 'object' || rdata === null) throw new DynFault('MISSING_DATA', 'rdata: missing');
  expectKeys(rdata as Record<string, unknown>, [key]);
  const value = (rdata as Record<string, unknown>)[key];
  if (typeof value !== 'string' || value === '') throw new DynFault('INVALID_DATA', `rdata: no ${key}`);
  return { rdata: { [key]: value }, ttl: Number(ttl) };
}

function refuseWhileBusy(dyn: DynectStandIn, zone: DynZone): void {
  if (dyn.blockNext > 0) dyn.blockNext -= 1;
  else if (!zone.task) return;
  throw new DynFault('ILLEGAL_OPERATION', 'zone: Operation blocked by current task');
}

function expectKeys(body: Record<string, unknown>, keys: readonly string[]): void {
  const unknown = Object.keys(body).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw new DynFault('INVALID_DATA', `${unknown}: not a known argument`);
}
