/**
 * Cerebro's machine sitter side by side with runit, s6, supervisord and PM2: those of them that are on PATH.
 *
 *   node --import tsx bench/peers.ts [--only restart,memory,idle,logs,breach] [--tasks 500] [--rounds 20] [--log-rounds 5]
 *                          [--window 30] [--settle 10] [--json FILE]
 *
 * Not by `npx tsx`: that kills what has not taken notice of a Ctrl-C within a moment, and then nobody ends what was started.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { inFolder } from './bench-daemon.ts';
import { breachSection } from './peers/breach-section.ts';
import { logsSection } from './peers/logs-section.ts';
import { restartSection } from './peers/restart-section.ts';
import { type Section, textOf } from './peers/section.ts';
import { standingSections } from './peers/standing-sections.ts';

const NAMES = ['restart', 'memory', 'idle', 'logs', 'breach'];

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: NAMES.join(',') },
    tasks: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '20' },
    'log-rounds': { type: 'string', default: '5' },
    window: { type: 'string', default: '30' },
    settle: { type: 'string', default: '10' },
    json: { type: 'string' },
  },
});

function wholeNumber(flag: 'tasks' | 'rounds' | 'log-rounds' | 'window' | 'settle'): number {
  const number = Number(values[flag]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${flag} takes a whole number from 1 on`);
  return number;
}

function wantedSections(): Set<string> {
  const wanted = values.only.split(',').filter(Boolean);
  const unknown = wanted.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`--only takes ${NAMES.join(', ')}, and not ${unknown.join(', ')}`);
  return new Set(wanted);
}

const wanted = wantedSections();
const standing = {
  tasks: wholeNumber('tasks'),
  memory: wanted.has('memory'),
  idle: wanted.has('idle'),
  settleSeconds: wholeNumber('settle'),
  windowSeconds: wholeNumber('window'),
};
const rounds = wholeNumber('rounds');
const logRounds = wholeNumber('log-rounds');
const done: (Section & { load: number[] })[] = [];

/** Each table is printed when it is there: what comes after it takes minutes. */
function tell(section: Section): void {
  // Who reads figures of a busy host has to know that it was one.
  const load = loadavg().map((share) => Math.round(share * 10) / 10);
  console.log(`${textOf(section)}\n- load ${load.join(', ')} on ${cpus().length} cores`);
  done.push({ ...section, load });
}

await inFolder(async (folder) => {
  if (wanted.has('restart')) tell(await restartSection(folder, rounds));
  if (standing.memory || standing.idle) for (const section of await standingSections(folder, standing)) tell(section);
  if (wanted.has('logs')) tell(await logsSection(folder, logRounds));
  if (wanted.has('breach')) tell(await breachSection(folder));
});

/** A thousandth of anything in here is more than can be measured. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
}

if (values.json !== undefined) {
  const host = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, kernel: release() };
  const sections = done.map(({ title, load, rows, about }) => ({ title, load, rows, about }));
  writeFileSync(values.json, `${JSON.stringify({ at: new Date().toISOString(), host, sections }, rounded, 2)}\n`);
}
