import { appendFileSync, lstatSync, readFileSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Logger } from '../../core/contracts/logger.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { EventLog } from '../../core/machine/records/event-log.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const event = (message: string) => ({ level: 'info', kind: 'test', message }) as const;

function logIn(folder: string, logger: Logger = silentLogger): EventLog {
  const log = new EventLog(folder, new SystemClock(), logger);
  log.load();
  return log;
}

const told = (log: EventLog): string[] => log.since(0).map(({ seq, message }) => `${seq} ${message}`);

t.test('a line that a crash tore does not take the next event with it', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'events.ndjson');
  const first = logIn(folder);
  for (const message of ['one', 'two', 'torn']) first.add(event(message));
  truncateSync(file, readFileSync(file).length - 10);
  const second = logIn(folder);
  second.add(event('three'));
  second.add(event('four'));
  t.same(told(second), ['1 one', '2 two', '3 three', '4 four']);
  t.same(told(logIn(folder)), told(second), 'the next daemon knows both, by the numbers that were told');
});

t.test('a file that cannot be shortened keeps its events, and what is wrong is said as what it is', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'events.ndjson');
  const long = 'x'.repeat(17_000);
  for (let seq = 1; seq < 500; seq++)
    appendFileSync(file, `${JSON.stringify({ ...event(long), seq, at: '2026-01-01T00:00:00.000Z' })}\n`);
  // What is written to it finds no room.
  symlinkSync('/dev/full', `${file}.new`);
  const errors: string[] = [];
  const log = logIn(folder, { ...silentLogger, error: (_fields, message) => errors.push(message) });
  log.add(event('the one at which it is shortened'));
  log.add(event('the next'));
  t.match(errors, [/could not be shortened/]);
  t.equal(lstatSync(`${file}.new`, { throwIfNoEntry: false }), undefined, 'nothing half-written stays');
  t.notMatch(readFileSync(file, 'utf8'), '\n\n');
  t.same(told(logIn(folder)).slice(-2), ['500 the one at which it is shortened', '501 the next']);
});
