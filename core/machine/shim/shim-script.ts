import { SHELL_OWN } from '../../model/task-configuration.ts';
import { shellPath } from './shell-path.ts';

/** How many shims can be on their way, or wait for an order, at a time. */
export const ORDER_PIPES = 16;

/**
 * The launcher: a small shell that starts shims, so that the daemon never forks. A fork of a Node process takes milliseconds,
 * in which nothing else is done there, and on a busy host tens of them.
 *
 * `setsid -f` and not `&`: what a shell starts by `&` has SIGINT and SIGQUIT ignored for ever, and so would the task.
 * Where tasks are to outlive the daemon's own service, it moves to a group outside of that first (see shim-group.ts).
 */
export const LAUNCHER_SCRIPT = `#!/bin/sh
# $1: the shim's script. $2: how the names of the order pipes begin. 0: which shims are to be started. 3: news for the daemon.
trap : HUP INT QUIT TERM USR1 USR2
[ -z "$CEREBRO_SHIM_GROUP" ] || echo 0 >"$CEREBRO_SHIM_GROUP/cgroup.procs" || exit 125
unset CEREBRO_SHIM_GROUP
rm -f ./*
mkfifo -m 600 ${Array.from({ length: ORDER_PIPES }, (_, n) => `"$2.${n}"`).join(' ')} || exit 126
folder=$PWD
cd / || exit 126
echo ready >&3
while read -r pipe number; do
  setsid -f /bin/sh "$1" "$folder/$pipe" "$number" </dev/null || echo "failed $number" >&3
done
`;

/**
 * The shim: a small shell that stands between the daemon and one run of a task, so that the task lives on when the daemon
 * does not, and its exit status is known all the same.
 *
 * It has a child, which will be the task: leader of a session of its own from the first, and until it is told what to run, a
 * shell that waits for its order on standard input. So who the two are is known before the run begins, and what stands between
 * an order and the task is one exec. Both end by themselves when the daemon dies before the order.
 *
 * The task's side first says to the shim in which folder its exit status is to go. The shim waits for it by a command
 * substitution: that is in the foreground, where signals stay as they are.
 * The shim's own output is /dev/null: a shell remarks on killed children there. The daemon's, where a task writes to it, is 5 and 6.
 */
export const SHIM_SCRIPT = `#!/bin/sh
# $1: the pipe of its order. $2: its number. 3: news for the daemon.
trap : HUP INT QUIT TERM USR1 USR2
folder=$(
  trap - HUP INT QUIT TERM USR1 USR2
  # For both first: that waits for nobody, and where the daemon is gone by then, there is nothing to read.
  exec 9<>"$1" <"$1" 9>&-
  exec setsid /bin/sh -s cerebro-task "$2"
)
status=$?
[ -z "$folder" ] || echo "$status" 1<>"$folder/exit"
echo "end $2 $status" >&3
`;

/** Its name in the data folder, by which shims are known in the list of processes. */
export const SHIM_FILE = 'shim.sh';

/** What the task's side does first: it says its /proc/self/stat. The pid stays the same through every exec. */
export const HELLO = 'read -r stat </proc/self/stat; echo "born $2 $stat" >&3\n';

/** An order to end without having run anything. */
export const NOTHING_TO_DO = 'exit 0\n';

/** The daemon's own standard output or error, as the place of a log. */
export const OWN_STREAM = '-';

export interface ShimOrder {
  runFolder: string;
  marker: string;
  cgroupProcs: string | null;
  cwd: string;
  command: string;
  /** Program and arguments that become another user before the command, e.g. setpriv; empty: stay who we are. */
  become: readonly string[];
  env: Record<string, string>;
  /** A file to append to; OWN_STREAM where the shims were made with `ownStreams`. */
  stdout: string;
  stderr: string;
}

/**
 * The order as the task's side reads it: one command, parsed whole. Everything in it is quoted by us: in single quotes nothing
 * means anything. First it says that the pipe is read to its end; a daemon that dies just then must not take the task with it.
 */
export function orderSentence(order: ShimOrder, oomScore: number | null): string {
  const { stdout, stderr, cgroupProcs, cwd, become, command, marker } = order;
  const variables = Object.entries({ ...order.env, CEREBRO_RUN: marker });
  const exported = variables
    .filter(([name]) => !SHELL_OWN.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`);
  const odd = variables.filter(([name]) => SHELL_OWN.test(name)).map(([name, value]) => `${name}=${value}`);
  const argv = [...become, ...(odd.length > 0 ? ['env', ...odd] : []), shellPath(), '-c', command];
  const steps = [
    `printf '%s\\n' ${quote(order.runFolder)}`,
    'trap : PIPE; echo "took $2" >&3; trap - PIPE',
    `exec ${log(1, stdout)} ${log(2, stderr)} </dev/null 3>&- 5>&- 6>&-`,
    ...(cgroupProcs === null
      ? []
      : [`echo 0 >${quote(cgroupProcs)} || { echo "cerebro: cannot enter its cgroup" >&2; exit 125; }`]),
    ...(oomScore === null ? [] : [`echo ${oomScore} >/proc/self/oom_score_adj`]),
    `cd ${quote(cwd)} || { echo ${quote(`cerebro: cannot enter ${cwd}`)} >&2; exit 126; }`,
    ...exported,
    `exec ${argv.map(quote).join(' ')}`,
  ];
  return `{ ${steps.join('; ')}; }\n`;
}

function log(fd: 1 | 2, place: string): string {
  return place === OWN_STREAM ? `${fd}>&${fd + 4}` : `${fd}>>${quote(place)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
