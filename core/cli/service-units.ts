/** What a service is written for. Paths are absolute; null: where systemd keeps the state of a service. */
export interface ServicePlan {
  mode: 'machine' | 'cluster';
  /** Of the user's own systemd, and not of the system's. */
  user: boolean;
  /** Program and first arguments that start Cerebro. */
  command: readonly string[];
  dataDir: string | null;
  settingsFile: string | null;
  /** Further flags, as they are. */
  flags: readonly string[];
}

export interface UnitFile {
  name: string;
  text: string;
}

/** The first line of what we wrote; a file without it is somebody else's. */
export const UNIT_MARK = '# Written by "cerebro install-service"; it is written anew when that is called again.';

export const TASKS_UNIT = 'cerebro-tasks.service';

/**
 * The units of a machine sitter are two. systemd ends every process that is in a service's group when the service is restarted,
 * and with KillMode=process it cannot start the service again while tasks are in its group (219/CGROUP). So tasks and shims live
 * in the group of a service of their own, which is never restarted, and the sitter may come and go.
 */
export function serviceUnits(plan: ServicePlan): UnitFile[] {
  if (plan.mode === 'cluster') return [{ name: 'cerebro-cluster.service', text: clusterUnit(plan) }];
  return [
    { name: TASKS_UNIT, text: tasksUnit(plan) },
    { name: 'cerebro-machine.service', text: machineUnit(plan) },
  ];
}

function tasksUnit({ user }: ServicePlan): string {
  return unit([
    ['Unit', ['Description=Cerebro: the tasks of this machine', 'Documentation=man:systemd.resource-control(5)']],
    [
      'Service',
      [
        '# Holds the group that the tasks live in, and does nothing else: ending it ends every task.',
        'Type=exec',
        `ExecStart=${argv(['/bin/sh', '-c', HOLDER])}`,
        `Slice=${user ? 'app.slice' : 'system.slice'}`,
        '# The groups inside are the sitter’s to arrange; each task has limits of its own.',
        'Delegate=yes',
        'TasksMax=infinity',
        'OOMPolicy=continue',
        ...(user ? [] : ['OOMScoreAdjust=-900']),
        'Restart=always',
        'TimeoutStopSec=60',
      ],
    ],
    ['Install', [`WantedBy=${user ? 'default.target' : 'multi-user.target'}`]],
  ]);
}

/** The kernel lets nobody be in a group that hands controllers on, so the holder goes one down. */
const HOLDER =
  'group=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup) && mkdir -p "$group/holder" && echo $$ >"$group/holder/cgroup.procs" && exec sleep infinity';

/** Where the group of the tasks' unit is; %U is the user's number. */
export function tasksGroup(user: boolean): string {
  const slice = user ? 'user.slice/user-%U.slice/user@%U.service/app.slice' : 'system.slice';
  return `/sys/fs/cgroup/${slice}/${TASKS_UNIT}`;
}

function machineUnit(plan: ServicePlan): string {
  const { user } = plan;
  return unit([
    [
      'Unit',
      [
        'Description=Cerebro machine sitter',
        `Requires=${TASKS_UNIT}`,
        `After=${TASKS_UNIT}${user ? '' : ' network-online.target'}`,
        ...(user ? [] : ['Wants=network-online.target']),
        '# Whatever happens, it is started again.',
        'StartLimitIntervalSec=0',
      ],
    ],
    [
      'Service',
      [
        'Type=exec',
        `ExecStart=${daemonArgv(plan, `--tasks-group "${tasksGroup(user)}"`)}`,
        `Slice=${user ? 'app.slice' : 'system.slice'}`,
        ...state(plan),
        'Restart=always',
        'RestartSec=1',
        'TimeoutStopSec=60',
        '# Tasks come from this process, so what it may not do they may not do either: only what no ordinary program needs is',
        '# taken away. Their own limits are in their configuration.',
        'KeyringMode=private',
        'LockPersonality=yes',
        ...(user ? [] : ['ProtectKernelModules=yes', 'ProtectKernelLogs=yes']),
      ],
    ],
    ['Install', [`WantedBy=${user ? 'default.target' : 'multi-user.target'}`]],
  ]);
}

function clusterUnit(plan: ServicePlan): string {
  const { user, dataDir } = plan;
  return unit([
    [
      'Unit',
      [
        'Description=Cerebro cluster sitter',
        ...(user ? [] : ['After=network-online.target', 'Wants=network-online.target']),
        'StartLimitIntervalSec=0',
      ],
    ],
    [
      'Service',
      [
        'Type=exec',
        `ExecStart=${daemonArgv(plan, '')}`,
        ...state(plan),
        'Restart=always',
        'RestartSec=1',
        'TimeoutStopSec=60',
        '# It talks with machines over the network and keeps its store; it needs nothing else of this host.',
        'NoNewPrivileges=yes',
        'LockPersonality=yes',
        'RestrictRealtime=yes',
        'RestrictSUIDSGID=yes',
        'SystemCallArchitectures=native',
        'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
        'UMask=0077',
        ...(user
          ? []
          : [
              'CapabilityBoundingSet=',
              'ProtectSystem=strict',
              ...(dataDir === null ? [] : [`ReadWritePaths=${word(dataDir)}`]),
              'ProtectHome=read-only',
              'PrivateTmp=yes',
              'PrivateDevices=yes',
              'ProtectClock=yes',
              'ProtectControlGroups=yes',
              'ProtectHostname=yes',
              'ProtectKernelLogs=yes',
              'ProtectKernelModules=yes',
              'ProtectKernelTunables=yes',
              'RestrictNamespaces=yes',
            ]),
      ],
    ],
    ['Install', [`WantedBy=${user ? 'default.target' : 'multi-user.target'}`]],
  ]);
}

/** A folder of our own below /var/lib, or the user's, unless another was named. */
function state({ dataDir }: ServicePlan): string[] {
  return dataDir === null ? ['StateDirectory=cerebro', 'StateDirectoryMode=0700'] : [];
}

/** `more` is written as it is: it may hold specifiers. */
function daemonArgv(plan: ServicePlan, more: string): string {
  const { command, mode, dataDir, settingsFile, flags } = plan;
  const settings = settingsFile === null ? [] : ['--settings', settingsFile];
  const data = dataDir === null ? '--data-dir "%S/cerebro"' : argv(['--data-dir', dataDir]);
  return [argv([...command, '--mode', mode, ...settings, ...flags]), data, more].filter(Boolean).join(' ');
}

function argv(words: readonly string[]): string {
  return words.map(word).join(' ');
}

/** A word as systemd reads it back: in quotes where it must be; % and $ mean something to it otherwise. */
function word(text: string): string {
  const plain = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(plain) ? plain : `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function unit(sections: readonly (readonly [string, readonly string[]])[]): string {
  const blocks = sections.map(([name, lines]) => [`[${name}]`, ...lines].join('\n'));
  return `${UNIT_MARK}\n\n${blocks.join('\n\n')}\n`;
}
