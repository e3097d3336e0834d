import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { freePort } from '../fakes/free-port.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const OTHER_KEY = `ssh-ed25519 ${Buffer.from('\0\0\0\x0bssh-ed25519 some other key').toString('base64')}`;

/** Hosts that cannot be machines, each for a reason of its own: by zone, what differs in its settings, and what is said of it. */
interface BadHost {
  access: object;
  says: RegExp;
}

async function badHosts(hosts: SshdHosts): Promise<Record<string, BadHost>> {
  const [locked, changed, foreign] = hosts.hosts;
  if (!locked || !changed || !foreign) throw new Error('three hosts were asked for');
  const { user } = locked;
  const nobody = await freePort();
  return {
    key: {
      access: { port: locked.port, user, keys: [hosts.wrongKey] },
      says: new RegExp(
        `^ssh-key-1: could not be created: no host of the size ssh.2x1024 is free in ssh-key: key/h: 127.0.0.1:${locked.port} accepted no key for the user "${user}" \\(tried: ${hosts.wrongKey}\\); put the public one into its authorized_keys$`,
      ),
    },
    away: {
      access: { port: nobody, user },
      says: new RegExp(
        `^ssh-away-1: could not be created: no host of the size ssh.2x1024 is free in ssh-away: away/h: 127.0.0.1:${nobody} cannot be reached by SSH: nothing listens there; is sshd running, and is the port right\\?$`,
      ),
    },
    changed: {
      access: { port: changed.port, user, host_keys: [OTHER_KEY] },
      says: new RegExp(
        `^ssh-changed-1: could not be created: no host of the size ssh.2x1024 is free in ssh-changed: changed/h: the host key of \\[127.0.0.1\\]:${changed.port} has changed: it was ssh-ed25519 SHA256:\\S+, now it is ssh-ed25519 SHA256:\\S+. Somebody may be in between, so nothing was sent. If the host was set up anew, mend "host_keys" in the settings$`,
      ),
    },
    arch: {
      access: { port: foreign.port, user },
      says: new RegExp(
        `^ssh-arch-1 is booting: there is no Node runtime for it: this host's own is for ${process.arch}, and none is named for ppc64 \\(runtimes: {ppc64: /path/to/node}\\); it is tried again$`,
      ),
    },
  };
}

/** Recipes that fail, each in its own way, and what is said of them. */
const BAD_RECIPES: Record<string, { recipe: string; options?: object; says: RegExp }> = {
  throws: {
    recipe: './throws.ts',
    says: /^throws\.1 could not be deployed on local-a-\d: recipe "\.\/throws\.ts" failed: there is no such release; the next try is in 0\.5 s$/,
  },
  hangs: {
    recipe: 'script',
    options: { script: 'sleep 300' },
    says: /^hangs\.1 could not be deployed on local-a-\d: recipe "script" failed: it did not end within 4 s \(recipe_deadline\) and was broken off; the next try is in 0\.5 s$/,
  },
  // On a slow host its time may be up before all is printed.
  prints: {
    recipe: 'script',
    options: { script: "head -c 100000000 /dev/zero | tr '\\0' x | fold -w 60000; echo no room >&2; exit 4" },
    says: /^prints\.1 could not be deployed on local-a-\d: recipe "script" failed: (\/bin\/sh exited with code 4: no room|it did not end within 4 s \(recipe_deadline\) and was broken off); the next try/,
  },
};

function pluginsFile(folder: string, hosts: SshdHosts, bad: Record<string, BadHost>): string {
  const own = JSON.parse(readFileSync(join(packageRoot, 'plugins.json'), 'utf8')) as { plugins: { use: string }[] };
  const zones = Object.entries(bad).map(([zone, { access }]) => [
    zone,
    { hosts: [{ name: 'h', address: '127.0.0.1', cpu: 2, mem: 1024, access }] },
  ]);
  const config = { access: { keys: [hosts.key] }, look_every: 1, zones: Object.fromEntries(zones) };
  const plugins = [...own.plugins, { use: './providers/ssh', modes: ['cluster'], config }];
  const path = join(folder, 'plugins.json');
  writeFileSync(
    path,
    JSON.stringify({ plugins: plugins.map((entry) => ({ ...entry, use: join(packageRoot, entry.use) })) }),
  );
  return path;
}

t.test(
  'what cannot work says why on the timeline, once, is tried again in moderation, and leaves nothing',
  async (t) => {
    if (skipWithoutSshd(t)) return;
    const hosts = await SshdHosts.start(2);
    const cluster = new EmbeddedCluster();
    t.teardown(async () => {
      await cluster.remove();
      await hosts.remove();
    });
    // A host that says of itself that it is another kind of machine.
    const tools = join(hosts.folder, 'tools');
    mkdirSync(tools);
    writeFileSync(join(tools, 'uname'), '#!/bin/sh\n[ "$1" = -m ] && echo ppc64le || exec /bin/uname "$@"\n');
    chmodSync(join(tools, 'uname'), 0o755);
    await hosts.add({ PATH: `${tools}:/usr/sbin:/usr/bin:/sbin:/bin` });
    const bad = await badHosts(hosts);
    writeFileSync(
      join(cluster.folder, 'throws.ts'),
      "export default () => ({ runDeploy: async () => { throw new Error('there is no such release'); } });",
    );
    const settings = join(cluster.folder, 'cerebro.yaml');
    writeFileSync(settings, 'recipe_deadline: 4\nmax_idle_per_zone: 0\nidle_grace: 1\n');
    await cluster.up({ '--plugins': pluginsFile(cluster.folder, hosts, bad), '--settings': settings });

    const task = (name: string): object => ({ name, command: 'exec sleep 1000', cpu: 0.1, mem: 10 });
    const jobs = [
      ...Object.keys(bad).map((zone) => ({
        task_configuration: task(zone),
        deployment_layout: { [`ssh-${zone}`]: { count: 1 } },
      })),
      ...Object.entries(BAD_RECIPES).map(([name, { recipe, options = {} }]) => ({
        task_configuration: task(name),
        deployment_layout: { 'local-a': { count: 1 } },
        deployment_recipe: recipe,
        recipe_options: options,
        update: { auto_revert: false },
      })),
    ];
    const applied = await cluster.apply(JSON.stringify(jobs));
    t.equal(applied.status, 200, await applied.text());

    const wanted = [...Object.values(bad), ...Object.values(BAD_RECIPES)].map(({ says }) => says);
    let messages: string[] = [];
    await eventually(
      async () => {
        messages = (await cluster.events()).map(({ message }) => message);
        return wanted.every((says) => messages.some((message) => says.test(message)));
      },
      () =>
        `each is on the timeline; missing: ${wanted.filter((says) => !messages.some((message) => says.test(message))).join('\n')}`,
    );
    await eventually(async () => {
      const reasons = (await cluster.copies()).map(({ reason }) => reason);
      return Object.keys(bad).every((zone) =>
        reasons.some((reason) => reason.includes(`ssh-${zone}-1`) && /, [3-9](rd|th) try/.test(reason)),
      );
    }, 'each is tried again and again, and says how often');
    messages = (await cluster.events()).map(({ message }) => message);
    for (const { says } of Object.values(bad))
      t.equal(messages.filter((message) => says.test(message)).length, 1, `told once: ${says}`);
    const printed = messages.filter((message) => message.startsWith('prints.1: xxx'));
    t.ok(printed.length > 0 && printed.length <= 331 * 10, `${printed.length} of the lines of 100 MB`);
    t.ok(printed.every((message) => message.length < 600));
    t.notMatch(messages.join('\n'), /PRIVATE/);

    for (const { name } of await cluster.get<{ name: string }[]>('/api/v1/jobs'))
      t.equal((await cluster.cli(['removejob', name])).code, 0);
    await eventually(async () => (await cluster.copies()).length === 0, 'their copies are gone');
    // The one that boots has until its boot_deadline: it was had.
    const left = async (): Promise<string[]> => (await cluster.machines()).map(({ id }) => id);
    await eventually(
      async () => (await left()).every((id) => id === 'ssh-arch-1'),
      'and the machines that could not be had',
    );
    for (const host of hosts.hosts.slice(0, 2)) t.same(readdirSync(host.home), [], 'and nothing lies on their hosts');
  },
);
