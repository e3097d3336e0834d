import { request } from 'node:http';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import Koa from 'koa';
import t from 'tap';
import { compressAnswers } from '../../core/http/answers/compress-answers.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { maskSecret, masks } from '../../core/http/doors/mask-secret.ts';
import { smallCluster } from '../fakes/fake-cluster-api.ts';
import { largeCluster } from '../fakes/large-cluster.ts';
import { dashboard } from './dashboard-under-test.ts';

const MANY = 'the same words again and again; '.repeat(500);

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
}

/** As it is on the wire: fetch would unpack it. */
function ask(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(pieces) }),
      );
    });
    asked.once('error', reject);
    asked.end();
  });
}

t.test('what is whole and text is packed for who takes it, with a length that is right', async (t) => {
  const app = new Koa();
  app.use(compressAnswers());
  app.use((ctx) => {
    if (ctx.path === '/text') ctx.body = MANY;
    if (ctx.path === '/json') ctx.body = { many: MANY };
    if (ctx.path === '/small') ctx.body = 'small';
    if (ctx.path === '/empty') ctx.status = 204;
    if (ctx.path === '/bytes') ctx.body = Buffer.from(MANY);
    if (ctx.path === '/packed') {
      ctx.set('Content-Encoding', 'br');
      ctx.type = 'text';
      ctx.body = Buffer.from(MANY);
    }
    if (ctx.path === '/stream') {
      ctx.type = 'text';
      ctx.body = Readable.from([Buffer.from(MANY)]);
    }
    if (ctx.path === '/events') {
      ctx.type = 'text/event-stream';
      ctx.body = MANY;
    }
  });
  const server = new HttpServer(app);
  const base = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.close());
  const gzip = { 'accept-encoding': 'gzip, deflate, br' };

  for (const [path, text] of [
    ['/text', MANY],
    ['/json', JSON.stringify({ many: MANY })],
  ] as const) {
    const { headers, bytes } = await ask(base + path, gzip);
    t.equal(headers['content-encoding'], 'gzip', path);
    t.equal(headers.vary, 'Accept-Encoding');
    t.equal(Number(headers['content-length']), bytes.length);
    t.equal(gunzipSync(bytes).toString(), text);
    const head = await ask(base + path, gzip, 'HEAD');
    t.equal(head.headers['content-length'], headers['content-length'], 'HEAD says what GET would');
    t.equal(head.headers['content-encoding'], 'gzip');
    t.equal(head.bytes.length, 0);
  }
  for (const accept of [undefined, 'identity', 'gzip;q=0, identity', 'br']) {
    const { headers, bytes } = await ask(`${base}/text`, accept === undefined ? {} : { 'accept-encoding': accept });
    t.equal(headers['content-encoding'], undefined, accept ?? 'nothing is said');
    t.equal(headers.vary, 'Accept-Encoding', 'caches are told all the same');
    t.equal(bytes.toString(), MANY);
  }
  for (const path of ['/small', '/empty', '/bytes', '/stream', '/events', '/packed']) {
    const { headers } = await ask(base + path, gzip);
    t.not(headers['content-encoding'], 'gzip', `${path} goes out as it is`);
  }
});

t.test('what another site has a browser ask for is not packed', async (t) => {
  const { base } = await dashboard(t, smallCluster({ job: 'web', slug: 'web', machine: 'm' }));
  const asked = (site?: string): Promise<Answer> =>
    ask(`${base}/assets/../signin?next=/jobs`, {
      'accept-encoding': 'gzip',
      ...(site !== undefined && { 'sec-fetch-site': site }),
    });
  for (const site of [undefined, 'none', 'same-origin'])
    t.equal((await asked(site)).headers['content-encoding'], 'gzip', site ?? 'a program');
  for (const site of ['cross-site', 'same-site'])
    t.equal((await asked(site)).headers['content-encoding'], undefined, site);
});

t.test('scripts and styles: a tag for each of their two forms, and nothing again for who has it', async (t) => {
  const { base } = await dashboard(t, smallCluster({ job: 'web', slug: 'web', machine: 'm' }));
  const url = `${base}/assets/app.css`;
  const plain = await ask(url);
  const packed = await ask(url, { 'accept-encoding': 'gzip' });
  t.equal(gunzipSync(packed.bytes).toString(), plain.bytes.toString());
  t.ok(packed.bytes.length < plain.bytes.length / 3);
  t.equal(Number(packed.headers['content-length']), packed.bytes.length);
  t.not(packed.headers.etag, plain.headers.etag);
  for (const [accept, etag] of [
    ['gzip', packed.headers.etag],
    ['identity', plain.headers.etag],
  ]) {
    const again = await ask(url, { 'accept-encoding': String(accept), 'if-none-match': `"other", ${etag}` });
    t.equal(again.status, 304);
    t.equal(again.bytes.length, 0);
    t.equal(again.headers.etag, etag);
    t.equal(again.headers['content-encoding'], undefined);
  }
  const wrong = { 'accept-encoding': 'gzip', 'if-none-match': String(plain.headers.etag) };
  t.equal((await ask(url, wrong)).status, 200, 'the tag of the other form is not taken for this one');
});

t.test('a page is small on the wire, and its CSRF token is another one each time', async (t) => {
  const { base, browser } = await dashboard(t, largeCluster({ machines: 1000, copies: 10_000 }));
  const { headers, bytes } = await ask(`${base}/`, {
    'accept-encoding': 'gzip',
    authorization: 'Bearer the-admin-token',
  });
  t.equal(headers['content-encoding'], 'gzip');
  t.ok(bytes.length < 150 * 1024, `the overview of 1,000 machines and 10,000 copies is ${bytes.length} bytes`);
  const tokens = await Promise.all(
    Array.from({ length: 3 }, async () => /name="_csrf" value="([^"]+)"/.exec(await browser.page('/new'))?.[1]),
  );
  t.equal(new Set(tokens).size, 3);
  for (const _csrf of tokens) {
    const answer = await browser.send('/settings/log-level', { level: 'info', _csrf: String(_csrf) }, false);
    t.equal(answer.status, 303, 'each is good');
  }
  t.equal((await browser.send('/settings/log-level', { level: 'info', _csrf: 'x' }, false)).status, 403);
});

t.test('changes are told at once, whatever encoding is asked for', async (t) => {
  const api = smallCluster({ job: 'web', slug: 'web', machine: 'm' });
  const { base } = await dashboard(t, api);
  const live = await fetch(`${base}/live`, {
    headers: { authorization: 'Bearer the-admin-token', 'accept-encoding': 'gzip' },
  });
  t.equal(live.headers.get('content-encoding'), null);
  const reader = live.body?.pipeThrough(new TextDecoderStream()).getReader();
  t.match((await reader?.read())?.value, 'retry: 1000');
  api.change();
  t.match((await reader?.read())?.value, 'event: change');
  await reader?.cancel();
});

t.test('a masked secret is known again under every mask, and nothing else is', (t) => {
  const [secret, other] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  const [one, two] = [maskSecret(secret), maskSecret(secret)];
  t.not(one, two);
  t.ok(masks(one, secret) && masks(two, secret));
  for (const text of ['', 'x', one.slice(2), `${one}${one}`, maskSecret(other), secret.toString('base64url')])
    t.notOk(masks(text, secret), text);
  t.end();
});
