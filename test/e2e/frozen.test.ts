import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EmbeddedCluster } from './embedded-cluster.ts';

t.test('a cluster sitter that was frozen for longer than lost_after gives up nobody when it wakes', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  const settings = join(cluster.folder, 'cerebro.yaml');
  writeFileSync(settings, 'suspect_after: 1\nunreachable_after: 2\nlost_after: 3\nstartup_grace: 2\n');
  await cluster.up({ '--settings': settings });
  await cluster.apply(
    'task_configuration: {name: calm, command: exec sleep 1000, ensure_alive: true}\ndeployment_layout: {local-a: {count: 1}}\n',
  );
  const [before] = await cluster.ready('calm', 1);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  process.kill(cluster.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 5000));
  process.kill(cluster.pid, 'SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const [after] = await cluster.ready('calm', 1);
  t.equal(after?.copy, before?.copy);
  t.equal(after?.task?.pid, before?.task?.pid);
  t.notOk((await cluster.events()).some(({ kind }) => kind === 'machine-lost'));
});
