import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NotifyCommand } from '../../plugins/notify-command/notify-command.ts';
import { NotifyWebhook } from '../../plugins/notify-webhook/notify-webhook.ts';
import { config } from '../../plugins/notify-webhook/schema.ts';
import { type NotifierHarness, notifierSuite } from '../suites/notifier-suite.ts';

const NOTICE = { level: 'error', key: 'k', sentence: '<!channel> ails & fails', at: '', resolved: false } as const;

async function webhook(t: Test): Promise<{ url: string; bodies: string[]; refuse(refuse: boolean): void }> {
  const bodies: string[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      if (status === 200) bodies.push(body);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/T0/secret`;
  const refuse = (refuse: boolean): void => {
    status = refuse ? 503 : 200;
  };
  return { url, bodies, refuse };
}

t.test('notify-webhook', (t) =>
  notifierSuite(t, async (t): Promise<NotifierHarness> => {
    const { url, bodies, refuse } = await webhook(t);
    const notifier = new NotifyWebhook(config.parse({ url }));
    await notifier.start();
    const sentences = (body: string): string =>
      (JSON.parse(body) as { notices: { sentence: string }[] }).notices.map(({ sentence }) => sentence).join(' ');
    return { notifier, received: () => bodies.map(sentences), refuse };
  }),
);

t.test("notify-webhook in Slack's form: one text, in which nothing is a mention", async (t) => {
  const { url, bodies } = await webhook(t);
  const file = join(t.testdir(), 'url');
  writeFileSync(file, `${url}\n`);
  const notifier = new NotifyWebhook(config.parse({ url_file: file, form: 'slack' }));
  await notifier.start();
  await notifier.notify([NOTICE, { ...NOTICE, resolved: true }]);
  t.same(JSON.parse(bodies[0] ?? ''), {
    text: '[ERROR] &lt;!channel&gt; ails &amp; fails\n[over] &lt;!channel&gt; ails &amp; fails',
  });
});

t.test('notify-webhook: the address is not shown when nobody answers, and has to be one', async (t) => {
  const gone = new NotifyWebhook(config.parse({ url: 'http://127.0.0.1:1/T0/secret' }));
  await gone.start();
  const error = await gone.notify([NOTICE]).then(
    () => null,
    (error: Error) => error,
  );
  t.match(error?.message, /does not answer/);
  t.notMatch(error?.message, /secret/);
  const file = join(t.testdir({ url: 'not an address' }), 'url');
  await t.rejects(new NotifyWebhook(config.parse({ url_file: file })).start(), {
    message: /does not hold the address/,
  });
  await t.rejects(new NotifyWebhook(config.parse({ url_file: `${file}2` })).start(), { message: /url_file: ENOENT/ });
  t.notOk(config.safeParse({}).success, 'no address at all');
  t.notOk(config.safeParse({ url: 'http://x/', url_file: file }).success, 'two');
});

t.test('notify-webhook: a call that is under way ends with the daemon, and does not show the address', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/T0/secret`;
  const notifier = new NotifyWebhook(config.parse({ url, timeout: 300 }));
  await notifier.start();
  const asked = new Promise((resolve) => server.once('request', resolve));
  const outcome = notifier.notify([NOTICE]).then(
    () => null,
    (error: Error) => error,
  );
  await asked;
  await notifier.stop();
  const error = await outcome;
  t.match(error, { code: 'unavailable', message: /was given up: the daemon stops/ });
  t.notMatch(error?.message, /secret/);
  await t.rejects(notifier.notify([NOTICE]), { message: /not started/ });
});

t.test('notify-command', (t) =>
  notifierSuite(t, async (t): Promise<NotifierHarness> => {
    const folder = t.testdir({ out: '', refuse: 'no' });
    const script = `[ "$(cat refuse)" = no ] || { echo refused >&2; exit 3; }; cat >> out`;
    const notifier = new NotifyCommand({ command: ['/bin/sh', '-c', `cd "${folder}"; ${script}`], timeout: 60 });
    await notifier.start();
    return {
      notifier,
      received: () =>
        readFileSync(join(folder, 'out'), 'utf8')
          .split('\n')
          .filter(Boolean)
          .map((line) =>
            (JSON.parse(line) as { notices: { sentence: string }[] }).notices.map(({ sentence }) => sentence).join(' '),
          ),
      refuse: (refuse) => writeFileSync(join(folder, 'refuse'), refuse ? 'yes' : 'no'),
    };
  }),
);

t.test('notify-command: what fails, hangs or is not there is said', async (t) => {
  const failing = new NotifyCommand({ command: ['/bin/sh', '-c', 'echo no modem >&2; exit 1'], timeout: 60 });
  await t.rejects(failing.notify([NOTICE]), { code: 'unavailable', message: /no modem/ });
  const hanging = new NotifyCommand({ command: ['sleep', '1000'], timeout: 0.2 });
  await t.rejects(hanging.notify([NOTICE]), { message: /was not done in 0\.2 s/ });
  const absent = new NotifyCommand({ command: ['/no/such/program'], timeout: 1 });
  await t.rejects(absent.notify([NOTICE]), { message: /program could not be run \(ENOENT\); look at "command"/ });
  const talkative = new NotifyCommand({ command: ['yes'], timeout: 60 });
  await t.rejects(talkative.notify([NOTICE]), { message: /yes was ended: it writes more than/ });
  const stopped = new NotifyCommand({ command: ['sleep', '1000'], timeout: 600 });
  const call = t.rejects(stopped.notify([NOTICE]), { message: /sleep was given up: the daemon stops/ });
  await stopped.stop();
  await call;
});
