import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { ClusterClient } from '../../core/cli/cluster-client.ts';
import { packageRoot } from '../../core/engine/package-root.ts';

/** Long after every body timeout that the test sets. */
const SILENCE_MS = 3000;

/** A cluster sitter that sends a line, and another one after a long silence. */
async function quietSitter(silenceMs: number): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('first\n');
    const timer = setTimeout(() => response.end('second\n'), silenceMs);
    response.on('close', () => clearTimeout(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, url: `http://127.0.0.1:${address.port}` };
}

function end(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

t.test('a log that is silent for longer than any timeout goes on', async (t) => {
  const { server, url } = await quietSitter(SILENCE_MS);
  const before = getGlobalDispatcher();
  const impatient = new Agent({ bodyTimeout: 200 });
  setGlobalDispatcher(impatient);
  t.teardown(async () => {
    setGlobalDispatcher(before);
    await impatient.close();
    await end(server);
  });
  const client = ClusterClient.from({ url, token: 'x', remember: false });
  let text = '';
  for await (const chunk of client.stream('/logs/web', new AbortController().signal))
    text += Buffer.from(chunk).toString();
  t.equal(text, 'first\nsecond\n');
});

t.test('Ctrl-C ends "cerebro logs -f" of a task that writes nothing', async (t) => {
  const { server, url } = await quietSitter(600_000);
  t.teardown(() => end(server));
  const flags = ['logs', 'web', '--follow', '--machinesitterurl', url];
  const program = [process.execPath, join(packageRoot, 'bin', 'cerebro'), ...flags];
  const child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...program], {
    env: { PATH: process.env.PATH ?? '', CEREBRO_TOKEN: 'x' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGINT');
  t.equal(await ended, 0);
});
