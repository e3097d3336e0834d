import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { serviceUnits } from '../../core/cli/service-units.ts';
import type { RunResult } from '../../core/contracts/remote.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { START_SYSTEMD } from '../../recipes/machine-sitter/put-in-force.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { readFacts } from '../../recipes/machine-sitter/target-facts.ts';
import { PROBE, REMOVE_SYSTEMD, STAY_DOWN_SYSTEMD } from '../../recipes/machine-sitter/target-scripts.ts';
import { TestAuthority } from '../tls/machine-with-certificate.ts';

/** Stands in for systemd's: it knows one unit, says one pid, and notes what it is told. The real one is asked in `npm run test:vm`. */
const SYSTEMCTL = `#!/bin/sh
here=$(dirname "$0")
case $1 in
cat) cat "$here/unit" ;;
show) case $2 in *MainPID) echo 4242 ;; *NRestarts) echo 7 ;; esac ;;
*) echo "$1" >>"$here/told" ;;
esac
`;

interface Host {
  /** A sitter's. */
  folder: string;
  /** Writes the unit of the sitter in a folder. */
  unitOf(folder: string): void;
  run(script: string): Promise<{ code: number; stdout: string; stderr: string }>;
  told(): string[];
}

function host(t: Test): Host {
  const tools = realpathSync(mkdtempSync(join(tmpdir(), 'cerebro-units-')));
  t.teardown(() => rmSync(tools, { recursive: true, force: true, maxRetries: 30 }));
  const folder = join(tools, 'sitter');
  mkdirSync(join(folder, 'runtime', 'bin'), { recursive: true });
  writeFileSync(join(folder, 'runtime', 'bin', 'node'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(tools, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
  const env = { PATH: `${tools}:${process.env.PATH ?? '/usr/bin:/bin'}` };
  return {
    folder,
    unitOf: (of) => {
      const flags = { user: false, command: ['/opt/node', '/opt/main.js'], settingsFile: '/etc/x.yaml', flags: [] };
      const units = serviceUnits({ mode: 'machine', dataDir: join(of, 'data'), ...flags });
      const [text = ''] = units.filter(({ name }) => name === 'cerebro-machine.service').map((unit) => unit.text);
      writeFileSync(join(tools, 'unit'), text);
    },
    run: (script) =>
      new Promise((resolve) => {
        const done = (error: Error | null, stdout: string, stderr: string): void =>
          resolve({ code: error === null ? 0 : 1, stdout, stderr });
        execFile('/bin/sh', ['-c', script, 'sh', folder, '40000'], { env, timeout: 60_000 }, done);
      }),
    told: () => {
      const path = join(tools, 'told');
      return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    },
  };
}

t.test('units of another machine sitter are neither taken over, nor stopped, nor taken for ours', async (t) => {
  const { folder, unitOf, run, told } = host(t);
  for (const other of ['/opt/cerebro', `${folder}-2`, join(folder, 'data')]) {
    unitOf(other);
    const found = readFacts((await run(PROBE)).stdout);
    t.match(found, { folder, unit: 'other', running: false, ends: 0 }, other);
    const started = await run(START_SYSTEMD);
    t.equal(started.code, 1, other);
    t.match(started.stderr, /those of another machine sitter/);
    t.equal((await run(STAY_DOWN_SYSTEMD)).code, 0);
    t.equal((await run(REMOVE_SYSTEMD)).code, 0);
    t.same(told(), [], other);
  }
});

t.test('our own units are known by their data folder', async (t) => {
  const { folder, unitOf, run, told } = host(t);
  unitOf(folder);
  t.match(readFacts((await run(PROBE)).stdout), { unit: 'ours', running: true, ends: 7 });
  t.equal((await run(START_SYSTEMD)).code, 0);
  t.same(told(), ['daemon-reload', 'enable', 'restart']);
});

t.test('where there are no units, they are made', async (t) => {
  if (existsSync('/etc/systemd/system/cerebro-machine.service')) return t.comment('this host has a machine sitter');
  const { run, told } = host(t);
  t.match(readFacts((await run(PROBE)).stdout), { unit: '', running: false });
  t.equal((await run(START_SYSTEMD)).code, 0);
  t.same(told(), ['daemon-reload', 'enable', 'restart']);
});

t.test('nothing is brought to a host whose units are those of another', async (t) => {
  const { folder } = host(t);
  const scripts: string[] = [];
  class Probed extends LocalRemote {
    override async sudo(_argv: readonly string[], options: { input?: string } = {}): Promise<RunResult> {
      scripts.push(options.input ?? '');
      const facts = ['system=Linux', 'machine=x86_64', `time=${Math.round(Date.now() / 1000)}`, 'writable=yes'];
      const stdout = [`folder=${folder}`, ...facts, 'systemd=yes', 'unit=other'].join('\n');
      return { code: 0, stdout, stderr: '' };
    }
  }
  const authority = await TestAuthority.create();
  const deployment = new MachineSitterDeployment({
    package: new SitterPackage({
      cache: join(folder, 'cache'),
      selfCommand: ['node', join(packageRoot, 'dist/core/main.js')],
    }),
    identities: { issue: (id) => authority.machine(id), greet: () => Promise.reject(new Error('nobody is there')) },
    clock: new SystemClock(),
  });
  const target = { remote: new Probed(folder, {}), machineId: 'm-1', address: '127.0.0.1', folder };
  await t.rejects(deployment.deploy(target), {
    code: 'conflict',
    message: /another machine sitter; remove that first/,
  });
  await deployment.wipe(target);
  t.same(scripts, [PROBE, PROBE], 'it was only looked at');
});
