import { createHash, X509Certificate } from 'node:crypto';
import { CerebroError } from '../../core/errors.ts';
import { bearsName, machineName, namedMachine } from '../../core/model/tls-identity.ts';
import { ARCHITECTURES, type Packed } from './sitter-package.ts';

/** What was found on a target before anything was changed there. */
export interface TargetFacts {
  /** Where the sitter is to live, absolute. */
  folder: string;
  system: string;
  /** As `uname -m` says it. */
  machine: string;
  uid: number;
  /** Seconds since the epoch. */
  time: number;
  bash: boolean;
  /** It can unpack what zstd has packed. */
  zstd: boolean;
  missing: string[];
  systemd: boolean;
  /** The nearest folder that is there, whether we may write it, and the bytes that are free under it (null: not known). */
  parent: string;
  writable: boolean;
  free: number | null;
  /** Whose the units of a machine sitter are that the host has; empty: it has none. */
  unit: '' | 'ours' | 'other';
  /** Programs and runtimes that were unpacked there before. */
  has: ReadonlySet<string>;
  /** The fingerprint of what was deployed last, to its end; empty: nothing. */
  deployed: string;
  /** A sitter of ours runs there, and its port by its settings. */
  running: boolean;
  sitterPort: number | null;
  /** How often it has ended by itself since it was last started by a deployment. */
  ends: number;
  /** Somebody listens on the wanted port, or is connected from it. */
  listening: boolean;
  /** Of the certificate that is there: SHA-256 of its authority's PEM, and the names in it. */
  authority: string | null;
  names: string;
}

export function readFacts(text: string): TargetFacts {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), [...(values.get(line.slice(0, at)) ?? []), line.slice(at + 1)]);
  }
  const one = (key: string): string => values.get(key)?.[0] ?? '';
  const number = (key: string): number | null => (/^\d+$/.test(one(key)) ? Number(one(key)) : null);
  const unit = one('unit');
  const kilobytes = number('free_kb');
  return {
    folder: one('folder'),
    system: one('system'),
    machine: one('machine'),
    uid: number('uid') ?? -1,
    time: number('time') ?? 0,
    bash: one('bash') === 'yes',
    zstd: one('zstd') === 'yes',
    missing: values.get('missing') ?? [],
    systemd: one('systemd') === 'yes',
    parent: one('parent'),
    writable: one('writable') === 'yes',
    free: kilobytes === null ? null : kilobytes * 1024,
    unit: unit === 'ours' || unit === 'other' ? unit : '',
    has: new Set(values.get('has')),
    deployed: one('deployed'),
    running: one('sitter') !== '',
    sitterPort: number('sitter_port'),
    ends: number('ends') ?? 0,
    listening: one('listening') === 'yes',
    authority:
      one('authority') === ''
        ? null
        : createHash('sha256')
            .update(unescaped(one('authority')))
            .digest('hex'),
    names: one('certificate') === '' ? '' : namesIn(unescaped(one('certificate'))),
  };
}

/** A PEM as it stands in a JSON string. */
export function unescaped(text: string): string {
  return text.replaceAll('\\n', '\n');
}

/** What is no certificate names nobody. */
export function namesIn(certificate: string): string {
  try {
    return new X509Certificate(certificate).subjectAltName ?? '';
  } catch {
    return '';
  }
}

export interface Wanted {
  machineId: string;
  port: number;
  /** SHA-256 of our authority's PEM. */
  authority: string;
  /** Seconds since the epoch. */
  now: number;
}

/** Certificates are good since a day before they were issued: a clock that is further off than half of that is in danger. */
const CLOCK_S = 12 * 3600;

function no(code: 'unsupported' | 'conflict' | 'forbidden', sentence: string): never {
  throw new CerebroError(code, sentence);
}

/** Node's name of the target's architecture. Throws with what keeps any machine sitter from living there, one sentence. `now` is in seconds. */
export function judgeHost(facts: TargetFacts, now: number): string {
  if (facts.system !== 'Linux')
    return no('unsupported', `it runs ${facts.system || 'something unknown'}, and not Linux`);
  const arch = ARCHITECTURES[facts.machine];
  if (arch === undefined)
    return no('unsupported', `its architecture, ${facts.machine || 'unknown'}, is none that Node is made for`);
  if (!/^\/[\w./-]*$/.test(facts.folder))
    return no('unsupported', `the folder "${facts.folder}" must be named by letters, digits, and . _ - / only`);
  if (facts.missing.length > 0)
    return no('unsupported', `it has no ${facts.missing.join(' and no ')}; install that there first`);
  if (!facts.writable)
    return no(
      'forbidden',
      `${facts.parent} may not be written by uid ${facts.uid}; name another folder, or let it be root (sudo)`,
    );
  const hours = Math.round((facts.time - now) / 360) / 10;
  if (Math.abs(facts.time - now) > CLOCK_S)
    return no(
      'unsupported',
      `its clock is ${Math.abs(hours)} hours ${hours < 0 ? 'behind' : 'ahead'}: certificates would not be good there; set it`,
    );
  return arch;
}

/** The same, and what keeps this very one from living there: another's sitter, or a port that is taken. */
export function judgeTarget(facts: TargetFacts, wanted: Wanted): string {
  const arch = judgeHost(facts, wanted.now);
  if (facts.authority !== null && facts.authority !== wanted.authority)
    return no(
      'conflict',
      `${facts.folder} there belongs to a machine of another cluster; wipe it by that cluster, or name another folder`,
    );
  if (facts.authority !== null && !bearsName(facts.names, machineName(wanted.machineId)))
    return no(
      'conflict',
      `${facts.folder} there is machine ${namedMachine(facts.names) ?? facts.names} already; wipe it first`,
    );
  if (facts.listening && !(facts.running && facts.sitterPort === wanted.port))
    return no('conflict', `port ${wanted.port} is taken there by another program; name another port`);
  return arch;
}

/** Throws `no_space` when what has to be brought does not fit, with room to live. */
export function checkSpace(facts: TargetFacts, bring: readonly Packed[]): void {
  const need = bring.reduce((sum, { unpacked }) => sum + unpacked, 0) + (bring.length > 0 ? 16_000_000 : 0);
  if (facts.free === null || facts.free >= need) return;
  throw new CerebroError(
    'no_space',
    `there is not enough space under ${facts.parent}: ${megabytes(need)} are needed, ${megabytes(facts.free)} are free`,
  );
}

export function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_000_000)} MB`;
}
