import { execFile, spawnSync } from 'node:child_process';
import type { Look } from '../suites/index.ts';

/** Debian's dig (bind9-dnsutils): what the world is told, read by a program that is not ours. */
export const hasDig = spawnSync('dig', ['-v']).error === undefined;

export interface DigResult {
  /** NOERROR, NXDOMAIN, REFUSED …; empty: there was no answer that could be read. */
  status: string;
  /** "qr aa rd". */
  flags: string;
  /** One record each, its fields apart by single spaces. */
  answers: string[];
  authority: string[];
  raw: string;
}

/** Asks a server on loopback. Fails only when dig itself cannot be run; no answer has an empty status. */
export function dig(port: number, args: readonly string[]): Promise<DigResult> {
  const all = ['@127.0.0.1', '-p', String(port), '+norecurse', '+time=5', '+tries=3', ...args];
  return new Promise((resolve, reject) => {
    execFile('dig', all, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve(parse(stdout));
    });
  });
}

function parse(raw: string): DigResult {
  const section = (title: string): string[] => {
    const body = raw.split(`;; ${title} SECTION:\n`)[1]?.split('\n\n')[0] ?? '';
    return (
      body
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith(';'))
        // Only between the fields: within a text, two spaces are two.
        .map((line) => line.replace(/^(\S+)\s+(\d+)\s+(\S+)\s+(\S+)\s+/, '$1 $2 $3 $4 '))
    );
  };
  return {
    status: /status: (\w+)/.exec(raw)?.[1] ?? '',
    flags: /flags: ([a-z ]*);/.exec(raw)?.[1] ?? '',
    answers: section('ANSWER'),
    authority: section('AUTHORITY'),
    raw,
  };
}

/** The conformance suite's look, by dig. */
export async function digLook(port: number, ...[name, type]: Parameters<Look>): ReturnType<Look> {
  const { answers, status, raw } = await dig(port, [name, type]);
  if (status === '') throw new Error(`the server on port ${port} did not answer: ${raw}`);
  const records = answers
    .map((line) => /^(\S+) (\d+) IN (\S+) (.*)$/.exec(line))
    .filter((match) => match?.[3] === type);
  const [first] = records;
  if (!first) return null;
  const values = records.map((match) => (type === 'TXT' ? textOf(match?.[4] ?? '') : (match?.[4] ?? '')));
  return { ttl: Number(first[2]), values };
}

/** `"two" "pieces"`, as master files have it: quotes and backslashes escaped, other bytes as \DDD. */
function textOf(data: string): string {
  const pieces = [...data.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? '');
  const bytes = pieces
    .join('')
    .replace(/\\(\d{3}|.)/g, (_all, escaped: string) =>
      escaped.length === 3 ? String.fromCharCode(Number(escaped)) : escaped,
    );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
