import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { definition, MachineUnderTest } from './machine-under-test.ts';

t.test(
  'a task on a leash ends when its cluster sitter falls silent; the others run on; a new order starts it',
  async (t) => {
    const machine = new MachineUnderTest();
    await machine.start();
    t.teardown(() => machine.remove());
    machine.sitter.checkEpoch(1);
    const held = { ...definition('held', { command: 'sleep 1000' }), leash: 6 };
    await machine.sitter.put(held, { start: true });
    await machine.add('free', { command: 'sleep 1000' });
    await machine.phase('held', 'running');
    // As long as words come, it runs.
    for (let word = 0; word < 4; word++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      machine.sitter.checkEpoch(1);
      t.equal(machine.task('held').phase, 'running');
    }
    t.throws(() => machine.sitter.checkEpoch(0), 'a word of one who was succeeded does not count');
    await machine.phase('held', 'stopped');
    t.match(machine.task('held'), {
      reason: /nothing heard from the cluster sitter for 6 s/,
      lastEnd: { reason: 'leash' },
    });
    t.equal(machine.task('free').phase, 'running');
    machine.sitter.checkEpoch(1);
    await machine.sitter.put(held, { start: true });
    await machine.phase('held', 'running', 2);
    await eventually(() => machine.task('held').pid !== null, 'it runs again');
  },
);
