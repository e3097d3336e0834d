import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { run } from './embedded-cluster.ts';

t.test('a command that succeeded does not mind that its cluster cannot be remembered', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('[]');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const asked = [process.execPath, join(packageRoot, 'bin', 'cerebro'), 'listmachines'];
  const where = { CEREBRO_URL: `http://127.0.0.1:${address.port}`, CEREBRO_TOKEN: 'x' };
  const plain = ['-u', 'NODE_OPTIONS', '-u', 'HOME', '-u', 'XDG_CONFIG_HOME'];

  // Nobody can make a folder there, not even root.
  const result = await run('/usr/bin/env', [...plain, 'HOME=/dev/null', ...asked], where, '/');
  t.equal(result.code, 0, result.stderr);

  if (process.getuid?.() !== 0) return;
  // A user of a number only, as in many containers: Node finds no home for it at all.
  const { code, stderr } = await run(
    '/usr/bin/setpriv',
    ['--reuid', '64999', '--clear-groups', '/usr/bin/env', ...plain, ...asked],
    where,
    '/',
  );
  if (/EACCES|Permission denied/.test(stderr)) t.comment('other users may not read this program here');
  else t.equal(code, 0, stderr);
});
