import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { endAll, writeSshPlugins } from '../fakes/ssh-inventory.ts';
import { type SshdHost, SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

/** A release whose program says which it is, and goes on for ever. */
function release(folder: string, version: string): void {
  const files = join(folder, 'files');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, 'run'), `#!/bin/sh\necho "this is ${version}"\nwhile :; do sleep 1; done\n`);
  chmodSync(join(files, 'run'), 0o755);
  execFileSync('tar', ['-czf', join(folder, `web-${version}.tar.gz`), '-C', files, 'run']);
}

const job = (releases: string, version: string): string => `
deployment_layout: { ssh-rack1: { mem: 100, cpu: 1 } }
deployment_recipe: release
recipe_options: { release_dir: ${JSON.stringify(releases)}, target: web, install: "echo installing $VERSION" }
version: "${version}"
update: { min_healthy: 0.2 }
task_configuration:
  name: web
  command: exec "$CEREBRO_HOME/web/current/run"
  ensure_alive: true
`;

t.test('from a job to a machine over SSH, a release, an update, a way back, and a machine that is lost', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(2);
  const cluster = new EmbeddedCluster();
  const [first, second] = hosts.hosts;
  if (!first || !second) throw new Error('two hosts were asked for');
  try {
    const releases = join(cluster.folder, 'releases');
    for (const version of ['1.0', '2.0']) release(releases, version);
    writeSshPlugins(join(cluster.folder, 'plugins.json'), hosts);
    const settings = join(cluster.folder, 'cerebro.yaml');
    writeFileSync(
      settings,
      'suspect_after: 4\nunreachable_after: 8\nlost_after: 15\nstartup_grace: 1\nmax_idle_per_zone: 0\n',
    );
    await cluster.up({ '--plugins': join(cluster.folder, 'plugins.json'), '--settings': settings });

    const applied = await cluster.apply(job(releases, '1.0'));
    t.equal(applied.status, 200, await applied.text());
    const [copy] = await cluster.ready('web', 1);
    if (!copy) throw new Error('no copy');
    const current = (host: SshdHost): string => readlinkSync(join(host.home, '.cerebro-machine/home/web/current'));
    t.match(current(first), /^releases\/web-1\.0\./);
    let shown = '';
    const log = async (): Promise<string> => {
      const { stdout, stderr } = await cluster.cli(['logs', 'web']);
      shown = `${stdout}${stderr}`;
      return stdout;
    };
    await eventually(
      async () => (await log()).includes('this is 1.0'),
      () => `the release runs: ${shown}`,
    );
    const said = (await cluster.events()).filter((event) => event.copy === copy.copy).map(({ message }) => message);
    t.ok(
      said.some((line) => /web-1\.0\.tar\.gz is sent and unpacked, /.test(line)),
      'what was sent is on the timeline',
    );
    t.ok(
      said.some((line) => line.includes('installing 1.0')),
      'so is what the install script printed',
    );

    const login = await cluster.cli(['login', 'web', '--command', 'pwd; exit 7']);
    t.same([login.code, login.stdout], [7, `${first.home}\n`], login.stderr);

    await cluster.apply(job(releases, '2.0'));
    await eventually(async () => (await log()).includes('this is 2.0'), 'the other release runs');
    await cluster.ready('web', 1);
    t.match(current(first), /^releases\/web-2\.0\./);

    const back = await cluster.cli(['rollback', 'web']);
    t.equal(back.code, 0, back.stderr);
    await eventually(() => current(first).startsWith('releases/web-1.0.'), 'the first release is current again');
    await cluster.ready('web', 1);

    await first.stop();
    endAll(first);
    await eventually(async () => {
      const copies = await cluster.copies();
      return copies.some(({ machine, state }) => machine !== copy.machine && state === 'ready');
    }, 'the copy runs on the other host');
    t.match(current(second), /^releases\/web-1\.0\./);

    await first.start();
    await eventually(() => !existsSync(join(first.home, '.cerebro-machine')), 'the lost host is wiped when it is back');
    t.same(readdirSync(first.home), []);
    await eventually(async () => (await cluster.machines()).length === 1, 'and forgotten');
  } finally {
    await cluster.remove();
    for (const host of hosts.hosts) endAll(host);
    await hosts.remove();
  }
});
