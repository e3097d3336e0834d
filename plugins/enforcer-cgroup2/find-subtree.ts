import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { Cgroup } from './cgroup.ts';
import type { Config } from './schema.ts';

/** CGROUP2_SUPER_MAGIC of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270;
const NEEDED = ['cpu', 'memory', 'pids'] as const;
/** The kernel lets nobody be in a group that hands its controllers on; the true root is the one exception. */
const LEAF = 'cerebro-daemon';

export type Subtree =
  | {
      works: true;
      /** The group under which ours are made. */
      base: Cgroup;
      /** Where this process has to go first, because it is in `base` itself; null: it may stay where it is. */
      leaf: Cgroup | null;
      /** What there is to hand on: cpu, memory, pids, and io where the host has it. */
      controllers: string[];
    }
  | { works: false; sentence: string };

/**
 * Finds the part of the host's cgroups that is ours to arrange. As root: the unit's own group where systemd delegated it
 * (Delegate=yes), else the top. As a user: the topmost group above us that we may write. Changes nothing.
 */
export function findSubtree(config: Config): Subtree {
  const no = (sentence: string): Subtree => ({ works: false, sentence });
  const { mount } = config;
  try {
    if (statfsSync(mount).type !== CGROUP2_MAGIC)
      return no(
        `${mount} is not cgroup v2; on a host with systemd, boot with systemd.unified_cgroup_hierarchy=1, elsewhere mount -t cgroup2 none ${mount}`,
      );
  } catch (error) {
    return no(`${mount} cannot be looked at (${messageOf(error)}); mount -t cgroup2 none ${mount}`);
  }
  const own = ownGroup(mount);
  if (own === undefined) return no('/proc/self/cgroup names no cgroup v2 group of this process');
  const base = config.root !== undefined ? new Cgroup(config.root) : findBase(mount, own);
  if (!base || !mayArrange(base))
    return no(
      `${base?.path ?? own} may not be written by this user; delegate a group to it (systemd: Delegate=yes in the unit, or "systemd-run --user --scope -p Delegate=yes …"), or run as root`,
    );
  const has = base.controllers();
  const missing = NEEDED.filter((name) => !has.has(name));
  if (missing.length > 0)
    return no(
      `${base.path} lacks the controllers ${missing.join(', ')}; enable them above it (systemd: Delegate=cpu memory pids io)`,
    );
  const inside = isTrueRoot(base) ? [] : directPids(base);
  const others = inside.filter((pid) => pid !== process.pid);
  if (others.length > 0)
    return no(
      `there are other processes in ${base.path} (pid ${others.slice(0, 5).join(', ')}), so it cannot hand its controllers on; start the daemon in a group of its own ("systemd-run --user --scope -p Delegate=yes …")`,
    );
  const controllers = [...NEEDED, 'io'].filter((name) => has.has(name));
  return { works: true, base, leaf: inside.length > 0 ? new Cgroup(join(base.path, LEAF)) : null, controllers };
}

/** The path of this process's own group; undefined on a host where it has none. */
function ownGroup(mount: string): string | undefined {
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('0::'));
  return line === undefined ? undefined : join(mount, line.slice(3));
}

function findBase(mount: string, own: string): Cgroup | undefined {
  if (process.getuid?.() === 0) {
    const unit = delegatedUnit(own);
    return new Cgroup(unit ?? mount);
  }
  // From our own group up, as far as we may: a delegated subtree begins at the topmost.
  let base: Cgroup | undefined;
  for (let path = own; path.startsWith(mount); path = dirname(path)) {
    const group = new Cgroup(path);
    if (!mayArrange(group)) break;
    base = group;
  }
  return base;
}

/** The group of the systemd service that we run in, when it was delegated to us. */
function delegatedUnit(own: string): string | undefined {
  // A daemon that has moved itself to its leaf before, and was started again there by exec, is one below.
  const path = basename(own) === LEAF ? dirname(own) : own;
  if (!path.endsWith('.service')) return undefined;
  try {
    const answer = execFileSync('systemctl', ['show', '--property=Delegate', '--value', basename(path)], {
      encoding: 'utf8',
      timeout: 3000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return answer.trim() === 'yes' ? path : undefined;
  } catch {
    return undefined; // no systemd that we can ask
  }
}

function mayArrange(group: Cgroup): boolean {
  try {
    for (const file of ['', 'cgroup.procs', 'cgroup.subtree_control'])
      accessSync(join(group.path, file), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Only the root of all groups has no cgroup.type. */
function isTrueRoot(group: Cgroup): boolean {
  return group.read('cgroup.type') === undefined;
}

function directPids(group: Cgroup): number[] {
  return (group.read('cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number);
}
