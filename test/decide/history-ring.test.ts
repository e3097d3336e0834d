import fc from 'fast-check';
import t from 'tap';
import {
  averageOf,
  decodeSlot,
  encodeSlot,
  FILE_BYTES,
  headerOf,
  historyFrom,
  offsetOf,
  SLOT_BYTES,
  slotAt,
  slotsOfMinute,
} from '../../core/decide/vitals/history-ring.ts';
import { MinuteOfHistory } from '../../core/decide/vitals/minute-of-history.ts';
import { HISTORY_SPANS, MACHINE_SERIES, TASK_SERIES, taskOfSubject } from '../../core/model/history.ts';

const NOW = Date.parse('2026-01-02T03:04:07.000Z');
const SERIES = ['a', 'b'];

t.test('a slot comes back as it was written, and only under its own number', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 33 }),
      fc.array(fc.option(fc.float({ noNaN: true, noDefaultInfinity: true })), { minLength: 1, maxLength: 9 }),
      (slot, values) => {
        const bytes = encodeSlot(slot, values);
        t.strictSame(decodeSlot(bytes, slot, values.length), values);
        t.equal(decodeSlot(bytes, slot + 1, values.length), undefined);
      },
    ),
    { numRuns: 200 },
  );
  t.equal(decodeSlot(Buffer.alloc(3), 0, 1), undefined, 'what was cut off is not there');
});

t.test('no two slots that are kept share a place, and all are inside the file', async (t) => {
  const places = new Set<number>();
  for (const span of ['hour', 'day'] as const) {
    const last = slotAt(span, NOW);
    for (let i = 0; i < HISTORY_SPANS[span].points; i++) places.add(offsetOf(span, last - i));
  }
  t.equal(places.size, HISTORY_SPANS.hour.points + HISTORY_SPANS.day.points);
  t.ok(Math.max(...places) + SLOT_BYTES <= FILE_BYTES);
});

t.test('every set of series fits into a slot, and has a head of its own', async (t) => {
  t.notOk(headerOf(MACHINE_SERIES).equals(headerOf(TASK_SERIES)));
  for (const series of [MACHINE_SERIES, TASK_SERIES]) {
    const values = series.map((_, i) => i);
    t.strictSame(decodeSlot(encodeSlot(1, values), 1, series.length), values);
  }
});

t.test('a minute is made of the twelve slots that begin in it', async (t) => {
  const minute = slotAt('day', NOW);
  const slots = slotsOfMinute(minute);
  t.equal(slots.length, 12);
  t.ok(slots.includes(slotAt('hour', NOW)));
  t.ok(slots.every((slot) => Math.floor((slot * 5) / 60) === minute));
});

t.test('the points of a minute lie as they are in the file, and what is missing comes from there', async (t) => {
  const start = slotAt('day', NOW) * 60_000;
  const first = new MinuteOfHistory(NOW);
  t.ok(first.put(start, [1, null]));
  t.ok(first.put(start + 5000, [2, 20]));
  t.notOk(first.put(start - 1, [9, 9]), 'the minute before');
  t.notOk(first.put(start + 60_000, [9, 9]), 'the next one');
  t.notOk(first.isOver);
  const second = new MinuteOfHistory(NOW);
  for (let at = 5000; at < 60_000; at += 5000) second.put(start + at, [at / 5000, null]);
  t.ok(second.isOver);
  t.notOk(second.isWhole);
  second.fillFrom(first.bytes);
  const points = slotsOfMinute(second.minute).map((slot, i) =>
    decodeSlot(second.bytes.subarray(i * SLOT_BYTES), slot, 2),
  );
  t.strictSame(points.slice(0, 3), [
    [1, null],
    [1, null],
    [2, null],
  ]);
  t.strictSame(decodeSlot(second.average(2), second.minute, 2), [Math.fround(67 / 12), null]);
  second.put(start, [0, null]);
  t.ok(second.isWhole);
});

t.test('an average is of what is known', async (t) => {
  t.strictSame(
    averageOf(
      [
        [1, null],
        [3, null],
        [2, 0],
      ],
      2,
    ),
    [2, 0],
  );
  t.strictSame(averageOf([], 2), [null, null]);
});

t.test('a history has all its points, the newest last, and gaps where nothing was written', async (t) => {
  const bytes = Buffer.alloc(FILE_BYTES);
  headerOf(SERIES).copy(bytes);
  const last = slotAt('hour', NOW);
  encodeSlot(last, [1.5, null]).copy(bytes, offsetOf('hour', last));
  encodeSlot(last - 2, [2, 20]).copy(bytes, offsetOf('hour', last - 2));
  encodeSlot(last - 1 - 720, [9, 9]).copy(bytes, offsetOf('hour', last - 1)); // an hour and five seconds old
  encodeSlot(last + 3, [7, 7]).copy(bytes, offsetOf('hour', last + 3)); // of a clock that was set back since
  const history = historyFrom(bytes, { of: 'x', span: 'hour', series: SERIES, nowMs: NOW });
  t.equal(history.series.a?.length, 720);
  t.strictSame(history.series.a?.slice(-3), [2, null, 1.5]);
  t.strictSame(history.series.b?.slice(-3), [20, null, null]);
  t.equal(history.series.a?.filter((value) => value !== null).length, 2);
  t.equal(Date.parse(history.from) + 719 * 5000, last * 5000);
});

t.test('whatever the bytes are, a history comes of them', async (t) => {
  for (const bytes of [undefined, Buffer.alloc(0), Buffer.from('garbage'), headerOf(SERIES), headerOf(['c'])]) {
    const history = historyFrom(bytes, { of: 'x', span: 'day', series: SERIES, nowMs: NOW });
    t.equal(history.series.a?.length, 1440);
    t.ok(history.series.a?.every((value) => value === null));
  }
});

t.test('"machine" is the machine; a task may be called so too', async (t) => {
  t.equal(taskOfSubject('machine'), null);
  t.equal(taskOfSubject('task:machine'), 'machine');
  t.equal(taskOfSubject('web.1'), 'web.1');
});
