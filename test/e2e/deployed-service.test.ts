import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { definition } from '../machine/machine-under-test.ts';
import { clientWith, TestAuthority } from '../tls/machine-with-certificate.ts';
import { eventually, isAlive } from './embedded-cluster.ts';

/** `test/vm/with-systemd` says so: this host's own systemd is nobody's to play with. */
const INSIDE = process.env.CEREBRO_SYSTEMD === '1';

/** The real runtime is packed and brought, on a host that may be slow. */
t.setTimeout(240_000);

const show = (unit: string, property: string): string =>
  execFileSync('systemctl', ['show', '-P', property, unit], { encoding: 'utf8', timeout: 120_000 }).trim();

t.test(
  'a machine that is deployed where systemd is: its services, an upgrade under its tasks, and no trace after',
  async (t) => {
    if (!INSIDE) {
      t.comment('left to npm run test:vm, which runs it with a systemd of its own');
      return;
    }
    // systemd empties /tmp when its first service starts.
    const folder = mkdtempSync('/srv/cerebro-deployed-');
    const authority = await TestAuthority.create();
    const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
    const deployment = new MachineSitterDeployment({
      package: new SitterPackage({
        cache: join(folder, 'cache'),
        selfCommand: [process.execPath, join(packageRoot, 'dist/core/main.js')],
      }),
      identities: {
        issue: (id) => authority.machine(id),
        greet: (id, endpoint) => client.greet({ id, endpoint }),
      },
      clock: new SystemClock(),
    });
    const target = { remote: new LocalRemote(folder, {}), machineId: 'm-1', address: '127.0.0.1' };
    const record = { id: 'm-1', endpoint: 'https://127.0.0.1:40000' } as never;
    t.teardown(async () => {
      await client.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
    });
    const pidOfTask = async (): Promise<number> => {
      const token = readFileSync('/opt/cerebro/data/admin.token', 'utf8').trim();
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch('http://127.0.0.1:40000/api/v1/tasks/lasting', { headers });
      return ((await answer.json()) as TaskStatus).pid ?? 0;
    };

    t.same(await deployment.deploy(target), { endpoint: 'https://127.0.0.1:40000', changed: true });
    t.equal(show('cerebro-machine.service', 'ActiveState'), 'active');
    t.equal(show('cerebro-machine.service', 'UnitFileState'), 'enabled');
    await client.putTask(record, definition('lasting', { command: 'exec sleep 1000' }));
    await eventually(async () => (await pidOfTask()) > 0, 'its task runs');
    const [task, before] = [await pidOfTask(), show('cerebro-machine.service', 'MainPID')];
    t.same((await deployment.deploy(target)).changed, false);

    t.same((await deployment.deploy({ ...target, settings: { log_level: 'debug' } })).changed, true);
    t.not(show('cerebro-machine.service', 'MainPID'), before, 'another sitter');
    t.equal(await pidOfTask(), task, 'and the same task');

    await deployment.wipe(target);
    t.notOk(isAlive(task), 'its task has ended');
    for (const unit of ['cerebro-machine.service', 'cerebro-tasks.service'])
      t.equal(show(unit, 'LoadState'), 'not-found', unit);
    t.notOk(existsSync('/opt/cerebro'));
    await deployment.wipe(target);
  },
);
