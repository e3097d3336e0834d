import { join, relative } from 'node:path';
import type { Command } from 'commander';
import type { Daemon } from '../engine/create-daemon.ts';
import { packageRoot } from '../engine/package-root.ts';
import { readUserConfig, userConfigPath, writeUserConfig } from './cluster-client.ts';
import type { CliContext } from './context.ts';
import { type DaemonFlags, runDaemon } from './daemon.ts';
import { LOG_FILE } from './last-words.ts';

/** `cerebro up`: a cluster sitter with local machines, an embedded store and the dashboard, on loopback. */
export function up(program: Command, context: CliContext): void {
  program
    .command('up')
    .description('start the embedded cluster on this host: local machines, dashboard on http://127.0.0.1:30000')
    .action(async () => {
      const flags = program.opts<DaemonFlags>();
      const downCommand = `${binFolder()}/cerebro${flags.dataDir === undefined ? '' : ` --data-dir ${flags.dataDir}`} down`;
      const ended = await runDaemon(
        flags,
        {
          mode: 'cluster',
          onHangup: 'end',
          logFile: (dataDir) => join(dataDir, LOG_FILE),
          onStarted: (daemon) => welcome(daemon, downCommand, context),
        },
        context,
      );
      context.out(
        ended === 'asked'
          ? 'Stopped, with everything that ran. The next start takes it all up again.'
          : `Stopped. The tasks go on; the next start takes them up again, "${downCommand}" stops them.`,
      );
    });
}

function welcome(daemon: Daemon, downCommand: string, context: CliContext): void {
  const note = rememberCluster(daemon);
  const bin = binFolder();
  const example = join(relative(process.cwd(), join(packageRoot, 'examples')), 'hello.yaml');
  context.out(`
  Cerebro is up. Open the dashboard (the link signs you in):

    ${daemon.signInUrl}

  Try next, in another terminal:

    ${bin}/job_update_cfg --clustersitterurl ${daemon.url} ${example}
    ${bin}/cerebro listmachines

  Ctrl-C stops Cerebro and leaves the tasks running; "${downCommand}" stops everything.${note}
`);
}

/** Writes the user's configuration, so that commands find this cluster; one that names a cluster elsewhere is left alone. */
function rememberCluster(daemon: Daemon): string {
  try {
    const { clustersitterurl } = readUserConfig();
    if (clustersitterurl !== undefined && !/^https?:\/\/(127\.|localhost|\[::1\])/.test(clustersitterurl)) {
      return `\n  ${userConfigPath()} names ${clustersitterurl} and was left as it is:\n  give commands --clustersitterurl ${daemon.url} and the token in admin.token.`;
    }
    writeUserConfig({ clustersitterurl: daemon.url, token: daemon.adminToken });
    return '';
  } catch (error) {
    return `\n  The user configuration could not be written (${error instanceof Error ? error.message : String(error)}):\n  give commands --clustersitterurl and --token.`;
  }
}

function binFolder(): string {
  return relative(process.cwd(), join(packageRoot, 'bin')) || '.';
}
