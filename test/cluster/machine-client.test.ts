import t, { type Test } from 'tap';
import { MockAgent } from 'undici';
import type { MachineAgents } from '../../core/cluster/machines/machine-agents.ts';
import { MachineClient } from '../../core/cluster/machines/machine-client.ts';
import type { MachineRecord } from '../../core/model/machine.ts';

const ENDPOINT = 'https://127.0.0.1:40000';
const machine = { id: 'm-1', endpoint: ENDPOINT } as MachineRecord;
const tooMuch = {
  code: 'unavailable',
  message: 'm-1 sent an answer of more than 16 MB; no machine sitter says so much',
};

/** A client whose machine answers `path` with this text. */
function clientOf(t: Test, path: string, text: string): MachineClient {
  const agent = new MockAgent();
  agent.disableNetConnect();
  agent.get(ENDPOINT).intercept({ path, method: 'GET' }).reply(200, text);
  t.teardown(() => agent.close());
  const agents = { of: async () => ({ calls: agent, streams: agent }) } as unknown as MachineAgents;
  return new MachineClient(() => 1, agents);
}

t.test('a machine that sends one line without end is broken off', async (t) => {
  const client = clientOf(t, '/api/v1/watch?since=0', 'x'.repeat(17 * 1024 * 1024));
  const read = async (): Promise<void> => {
    for await (const message of client.watch(machine, 0, new AbortController().signal)) t.fail(message.type);
  };
  await t.rejects(read(), tooMuch);
});

t.test('an answer that is too long is not taken', async (t) => {
  const client = clientOf(t, '/api/v1/tasks/web.1/runs', `[${' '.repeat(17 * 1024 * 1024)}]`);
  await t.rejects(client.runs(machine, 'web.1'), tooMuch);
});

t.test('an answer of usual length is taken as before', async (t) => {
  t.same(await clientOf(t, '/api/v1/tasks/web.1/runs', '[]').runs(machine, 'web.1'), []);
});
