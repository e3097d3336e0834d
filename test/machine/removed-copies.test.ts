import t from 'tap';
import { RemovedCopies } from '../../core/machine/records/removed-copies.ts';

t.test('an order that was overtaken by the removal of its copy is refused', async (t) => {
  const removed = new RemovedCopies();
  removed.check('web.1', 7);
  removed.remember('web.1', 7);
  t.throws(() => removed.check('web.1', 7), {
    code: 'conflict',
    message: /"web\.1" was removed by the same cluster sitter/,
  });
  removed.check('web.2', 7);
  removed.check('web.1', null);
});

t.test('what a person removes may come again', async () => {
  const removed = new RemovedCopies();
  removed.remember('web.1', null);
  removed.check('web.1', 7);
});

t.test('with a new leader all is forgotten, and the newest of very many are kept', async (t) => {
  const removed = new RemovedCopies();
  removed.remember('web.0', 7);
  removed.check('web.0', 8);
  for (let n = 0; n < 10_001; n++) removed.remember(`web.${n}`, 8);
  removed.check('web.0', 8);
  t.throws(() => removed.check('web.1', 8));
});
