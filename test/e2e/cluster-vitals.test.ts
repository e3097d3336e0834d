import t from 'tap';
import { history } from '../../core/model/history.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const JOB = `
task_configuration: {name: busy, command: 'while :; do :; done', cpu: .1, mem: 32, ensure_alive: true}
deployment_layout: {local-a: {count: 1}}
`;

t.test('a cluster sitter passes on the past of its machines and copies, and tells Prometheus', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  await cluster.apply(JOB);
  const [copy] = await cluster.ready('busy', 1);
  if (!copy) throw new Error('there is one copy');
  const points = async (path: string, series: string): Promise<number> => {
    const { series: all } = history.parse(await cluster.get(path));
    return (all[series] ?? []).filter((value) => value !== null).length;
  };
  await eventually(
    async () => (await points(`/api/v1/copies/${copy.copy}/history`, 'cpu')) > 0,
    'the copy has a point of the hour',
  );
  t.ok((await points(`/api/v1/machines/${copy.machine}/history?span=day`, 'memBytes')) > 0);
  t.equal((await cluster.fetch('/api/v1/machines/nobody/history')).status, 404);
  t.equal((await cluster.fetch(`/api/v1/copies/${copy.copy}/history?span=year`)).status, 400);

  const text = await (await cluster.fetch('/metrics')).text();
  t.match(text, /^cerebro_jobs 1$/m);
  t.match(text, /^cerebro_copies\{state="ready"\} 1$/m);
  t.match(text, /^cerebro_machines\{state="ready"\} \d+$/m);
  t.match(text, /^cerebro_job_copies_ready\{job="busy",zone="local-a"\} 1$/m);
  t.match(text, /^cerebro_passes_total\{outcome="done"\} [1-9]\d*$/m);
  t.match(text, /^cerebro_effects_total\{kind="deploy-copy",outcome="done"\} [1-9]\d*$/m);
  t.match(text, /^cerebro_events_total [1-9]\d*$/m);
  t.match(text, /^cerebro_cluster_machine_cores\{machine="[^"]+",zone="local-a",kind="used"\} [\d.]+$/m);
  t.equal((await fetch(`${cluster.url}/metrics`)).status, 401, 'for who has the token');
});
