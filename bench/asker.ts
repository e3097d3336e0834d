/**
 * Asks a daemon the same thing again and again until its stdin ends: says `begun` after the first answer, and at the end how long each one after
 * it took, as JSON in milliseconds. For `machine.ts`: what is asked of a busy host from another one does not wait for that host's cpu.
 *
 *   node --import tsx bench/asker.ts URL TOKEN_FILE EVERY_MS
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

const [url = '', tokenFile = '', everyMs = '20'] = process.argv.slice(2);
const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
const agent = new Agent({ keepAlive: true });
const taken: number[] = [];
let over = false;

function ask(): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, headers: { authorization } }, (answer) => {
      if (answer.statusCode === 200) answer.resume().once('end', resolve);
      else reject(new Error(`${url}: ${answer.statusCode}`));
    });
    outgoing.once('error', reject).end();
  });
}

process.stdin.resume().once('end', () => {
  over = true;
});
await ask();
console.log('begun');
while (!over) {
  const start = performance.now();
  await ask();
  taken.push(performance.now() - start);
  await new Promise((resolve) => setTimeout(resolve, Number(everyMs)));
}
agent.destroy();
console.log(JSON.stringify(taken));
