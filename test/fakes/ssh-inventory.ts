import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../core/engine/package-root.ts';
import { systemCode } from '../../core/errors.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import type { SshdHost, SshdHosts } from './sshd-hosts.ts';

/** Cerebro's own plugins, and an inventory of these hosts. */
export function writeSshPlugins(path: string, hosts: SshdHosts): void {
  const own = JSON.parse(readFileSync(join(packageRoot, 'plugins.json'), 'utf8')) as { plugins: { use: string }[] };
  const inventory = hosts.hosts.map(({ address, port, user }, n) => ({
    name: `h${n + 1}`,
    address,
    cpu: 2,
    mem: 1024,
    access: { port, user },
  }));
  const main = join(packageRoot, 'dist', 'core', 'main.js');
  const sitter = { command: ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, main] };
  const config = { access: { keys: [hosts.key] }, look_every: 1, sitter, zones: { rack1: { hosts: inventory } } };
  const plugins = [...own.plugins, { use: './providers/ssh', modes: ['cluster'], config }];
  const absolute = plugins.map((plugin) => ({ ...plugin, use: join(packageRoot, plugin.use) }));
  writeFileSync(path, JSON.stringify({ plugins: absolute }));
}

/** Everything that was started on a host, whatever came of it: its logins have a home of their own. */
export function endAll(host: SshdHost): void {
  const table = new ProcTable();
  for (const pid of table.pids()) {
    const marked =
      table.environment(pid, 'CEREBRO_MACHINE') !== undefined && table.environment(pid, 'HOME') === host.home;
    if (marked && table.read(pid)?.state !== 'Z') end(pid);
  }
}

/** Whoever has ended by himself meanwhile is ended. */
export function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}
