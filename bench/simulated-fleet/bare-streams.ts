/**
 * The floor of `bench/fleet.ts`: opens one stream to each machine over mutual TLS, as fast as Node can, and reads it. Nothing is kept, and
 * nothing is made of what is heard. Prints a line when all are open; ends with its standard input.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';

const [file = ''] = process.argv.slice(2);
const { identity, endpoints } = JSON.parse(readFileSync(file, 'utf8')) as {
  identity: TlsIdentity;
  endpoints: string[];
};
let open = 0;
const began = performance.now();
for (const endpoint of endpoints) {
  const { authority: ca, certificate: cert, key } = identity;
  const options = { ca, cert, key, agent: false, checkServerIdentity: () => undefined };
  const outgoing = request(`${endpoint}/api/v1/watch?since=0`, options, (response) => {
    let rest = '';
    response.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (JSON.parse(line).type === 'hello' && ++open === endpoints.length) told();
    });
  });
  outgoing.on('error', (error) => {
    console.error(String(error));
    process.exit(1);
  });
  outgoing.end();
}

function told(): void {
  console.log(JSON.stringify({ ms: performance.now() - began }));
}
process.stdin.on('end', () => process.exit(0)).resume();
