import t from 'tap';
import { providerWord } from '../../core/decide/words/provider-word.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

function machine(change: Partial<MachineRecord>): MachineRecord {
  const made = new ClusterFixture().machine('local-a-1', change).machines.get('local-a-1');
  if (!made) throw new Error('the fixture makes it');
  return made;
}

t.test('what is not listed is gone, unless it was never confirmed', async (t) => {
  t.equal(providerWord(machine({ ref: 'i-1' }), undefined, { askedAt: NOW, connected: false }), 'gone');
  t.equal(
    providerWord(machine({ ref: null, state: 'requested' }), undefined, { askedAt: NOW, connected: false }),
    'unknown',
  );
});

t.test('a list that was asked for before a machine could be on it says nothing of it', async (t) => {
  const booting = machine({ ref: 'i-1', state: 'booting', stateSince: NOW - 60_000 });
  t.equal(providerWord(booting, undefined, { askedAt: NOW, connected: false }), 'gone');
  t.equal(
    providerWord(booting, undefined, { askedAt: NOW - 57_000, connected: false }),
    'unknown',
    'it is read a minute after it was asked for',
  );
});

t.test('one that has just become ready and is spoken with is there, also where the list lags behind', async (t) => {
  const ready = machine({ ref: 'i-1', state: 'ready', stateSince: NOW - 4000 });
  t.equal(providerWord(ready, undefined, { askedAt: NOW, connected: true }), 'unknown');
  t.equal(providerWord(ready, undefined, { askedAt: NOW, connected: false }), 'gone');
  t.equal(providerWord(ready, undefined, { askedAt: NOW + 60_000, connected: true }), 'gone');
});
