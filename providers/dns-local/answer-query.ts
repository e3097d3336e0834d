import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  encode,
  type OptAnswer,
  type Packet,
  type Question,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { ROOT, type ZoneTable } from './zone-table.ts';

/** What anybody may send by UDP without having asked for more, and the most that is sent to those who have. */
const PLAIN_UDP = 512;
const MOST_UDP = 1232;
const MOST_TCP = 65_535;
/** Seconds for which others may remember that there is nothing: short, so that a new name is seen soon. */
const NEGATIVE_TTL = 5;
const TTL = 3600;
/** The pieces that a text is cut into on the wire. */
const PIECE = 255;

const RCODE = { ok: 0, format: 1, nameError: 3, notImplemented: 4, refused: 5 } as const;
const BAD_VERSION_HIGH_BITS = 1;
/** Of the query's flags: its opcode, and whether recursion is desired. */
const GIVEN_BACK = 0x7900;

/** A type that dns-packet does not name is decoded as UNKNOWN_n. */
type AskedType = Question['type'] | 'ANY';

interface Reply {
  rcode: number;
  authoritative: boolean;
  answers: Answer[];
  authorities: Answer[];
}

/** The answer to a query, as it goes over the wire; it was decoded already. Pure, but for what the table holds at this moment. */
export function answerQuery(query: DecodedPacket, table: ZoneTable, transport: 'udp' | 'tcp'): Buffer {
  const opt = query.additionals?.find((one): one is OptAnswer => one.type === 'OPT');
  const badVersion = opt !== undefined && opt.ednsVersion > 0;
  const reply = badVersion ? failure(RCODE.ok) : replyTo(query, table);
  const flags = ((query.flags ?? 0) & GIVEN_BACK) | reply.rcode;
  const packet: Packet = {
    id: query.id,
    type: 'response',
    flags: flags | (reply.authoritative ? AUTHORITATIVE_ANSWER : 0),
    questions: query.questions,
    answers: reply.answers,
    authorities: reply.authorities,
    additionals: opt ? [ourOpt(badVersion ? BAD_VERSION_HIGH_BITS : 0)] : [],
  };
  const limit =
    transport === 'tcp' ? MOST_TCP : opt ? Math.min(Math.max(opt.udpPayloadSize, PLAIN_UDP), MOST_UDP) : PLAIN_UDP;
  const whole = encode(packet);
  if (whole.length <= limit) return whole;
  // Half a set would be taken for all of it: whoever asked comes back over TCP.
  return encode({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] });
}

/** The answer to what could not be read: its id, so that whoever asked need not wait. */
export function answerGarbage(message: Buffer): Buffer {
  return encode({ id: message.readUInt16BE(0), type: 'response', flags: RCODE.format });
}

function replyTo(query: DecodedPacket, table: ZoneTable): Reply {
  if (opcodeOf(query) !== 0) return failure(RCODE.notImplemented);
  const [question, ...more] = query.questions ?? [];
  if (!question || more.length > 0) return failure(RCODE.format);
  const name = question.name.toLowerCase();
  const zone = table.zoneOf(name);
  const type = question.type as AskedType;
  if (zone === null || (question.class ?? 'IN') !== 'IN' || type === 'AXFR' || type === 'IXFR')
    return failure(RCODE.refused);
  const answers = recordsAt(question.name, name, type, zone, table);
  if (answers.length > 0) return { rcode: RCODE.ok, authoritative: true, answers, authorities: [] };
  const rcode = name === zone || zoneIsAsked(name, zone) || table.exists(name) ? RCODE.ok : RCODE.nameError;
  return { rcode, authoritative: true, answers: [], authorities: [soa(zone, table.serial)] };
}

/** `asked` is the name as the question has it: capitals are given back as they came. */
function recordsAt(asked: string, name: string, type: AskedType, zone: string, table: ZoneTable): Answer[] {
  const wants = (one: AskedType): boolean => type === one || type === 'ANY';
  const records: Answer[] = [];
  if (name === zone || zoneIsAsked(name, zone)) {
    if (wants('SOA')) records.push({ ...soa(zone, table.serial), name: asked } as Answer);
    if (wants('NS')) records.push({ type: 'NS', name: asked, ttl: TTL, data: serverOf(zone) });
  }
  const a = wants('A') ? table.set(name, 'A') : undefined;
  for (const data of a?.values ?? []) records.push({ type: 'A', name: asked, ttl: a?.ttl ?? 0, data });
  const txt = wants('TXT') ? table.set(name, 'TXT') : undefined;
  for (const text of txt?.values ?? [])
    records.push({ type: 'TXT', name: asked, ttl: txt?.ttl ?? 0, data: piecesOf(text) });
  return records;
}

function zoneIsAsked(name: string, zone: string): boolean {
  return zone === ROOT && (name === '' || name === ROOT);
}

function soa(zone: string, serial: number): Answer {
  return {
    type: 'SOA',
    name: zone,
    ttl: NEGATIVE_TTL,
    data: {
      mname: serverOf(zone),
      rname: zone === ROOT ? 'hostmaster.localhost' : `hostmaster.${zone}`,
      serial,
      refresh: TTL,
      retry: 600,
      expire: 86_400,
      minimum: NEGATIVE_TTL,
    },
  };
}

function serverOf(zone: string): string {
  return zone === ROOT ? 'localhost' : `ns.${zone}`;
}

function piecesOf(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'utf8');
  const pieces: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE));
  return pieces;
}

function ourOpt(extendedRcode: number): OptAnswer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: MOST_UDP,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

function opcodeOf(query: DecodedPacket): number {
  return ((query.flags ?? 0) >> 11) & 0xf;
}

function failure(rcode: number): Reply {
  return { rcode, authoritative: false, answers: [], authorities: [] };
}
