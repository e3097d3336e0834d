import t from 'tap';
import { eventOfOrder } from '../../core/decide/task/order-task.ts';

t.test('a restart that was ordered is not told as a change of version', async (t) => {
  const runs = { phase: 'running', wanted: 'run' } as const;
  const order = { change: 'runs-other', start: true, version: 3 } as const;
  t.match(eventOfOrder(runs, order), { kind: 'restart', reason: 'deploy', why: 'changed to version 3' });
  t.match(eventOfOrder(runs, { ...order, sameVersion: true }), { kind: 'restart', why: 'restarted, as was ordered' });
  t.equal(eventOfOrder(runs, { ...order, change: 'same' }), null);
});
