// The floor of bench/restart.ts: the least that a Node process can do to keep a command alive. It writes no state, keeps no
// log, holds no limit, and its child dies unnoticed when it does.
import { spawn } from 'node:child_process';

const [, , command] = process.argv;
let child;

function start() {
  child = spawn('/bin/bash', ['-c', command], { stdio: 'ignore' });
  child.once('exit', start);
}

process.once('SIGTERM', () => {
  child.removeListener('exit', start);
  child.kill('SIGKILL');
  process.exit(0);
});
start();
