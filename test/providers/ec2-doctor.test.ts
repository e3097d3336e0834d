import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ProviderReport } from '../../core/contracts/machine-provider.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { Finding } from '../../core/model/finding.ts';
import { Ec2UnderTest, ZONE } from './ec2-under-test.ts';

const grades = ({ findings }: ProviderReport): Record<string, Finding['grade']> =>
  Object.fromEntries(findings.map(({ about, grade }) => [about, grade]));

t.test('with everything in order the doctor finds nothing, and makes nothing', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  const report = await under.provider({ key_pair: 'ops', spot: 'prefer' }).doctor();
  t.same([...new Set(Object.values(grades(report)))], ['good']);
  t.match(Object.keys(grades(report)), new Set(['us-west-2: ec2:TerminateInstances', `${ZONE}: a launch (dry run)`]));
  t.same(under.standIn.world.instances, []);
  t.ok(
    under.standIn.calls
      .filter(({ action }) => action === 'RunInstances')
      .every(({ params }) => params.get('DryRun') === 'true'),
  );
  const [policy] = report.texts;
  const actions = JSON.stringify(JSON.parse(policy?.text ?? ''));
  for (const { action } of under.standIn.calls) t.match(actions, `ec2:${action}`, `the policy has ${action}`);
  t.notMatch(actions, 'iam:PassRole');
});

t.test('what is missing is named, with what to do', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  const { world } = under.standIn;
  world.denied.add('RunInstances');
  world.subnets = world.subnets.filter(({ az }) => az !== 'us-west-2b');
  const report = await under
    .provider({
      security_groups: [],
      key_pair: 'nobodys',
      instance_types: ['t3.small', 'm99.huge'],
      instance_profile: 'machines',
    })
    .doctor();
  t.match(grades(report), {
    'us-west-2: ec2:DescribeInstances': 'good',
    [`${ZONE}: instance types`]: 'worse',
    [`${ZONE}: security groups`]: 'worse',
    [`${ZONE}: key pair`]: 'bad',
    [`${ZONE}: a launch (dry run)`]: 'bad',
  });
  const said = report.findings.map(({ about, found }) => `${about}: ${found}`).join('\n');
  t.match(said, /aws-us-west-2a: a launch \(dry run\): ec2:RunInstances is not allowed/);
  t.match(said, /aws-us-west-2b: a launch \(dry run\): subnet: us-west-2b has no default VPC/);
  t.match(report.texts[0]?.text, /iam:PassRole/);
});

t.test('credentials that are refused are said once', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  const report = await under
    .provider({ credentials: { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'hunter2-hunter2' } })
    .doctor();
  t.equal(report.findings.length, 1);
  t.match(report.findings, [{ grade: 'bad', found: /refuses our credentials/ }]);
  t.notMatch(JSON.stringify(report), /hunter2/);
});

t.test('cerebro doctor --provider prints it, and ends with 1 where it cannot work', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  const pluginsFile = join(under.folder, 'plugins.json');
  const list = [{ use: join(packageRoot, 'providers', 'ec2'), modes: ['cluster'], config: under.settings() }];
  writeFileSync(pluginsFile, JSON.stringify({ plugins: list }));
  const run = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const argv = [
        '-u',
        'NODE_OPTIONS',
        process.execPath,
        join(packageRoot, 'bin', 'cerebro'),
        '--plugins',
        pluginsFile,
      ];
      execFile('/usr/bin/env', [...argv, 'doctor', '--provider', ...args], { timeout: 60_000 }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  const well = await run('ec2');
  t.equal(well.code, 0, well.err);
  t.match(well.out, /ok\s+aws-us-west-2a: a launch \(dry run\)/);
  t.match(well.out, /The least IAM policy[\s\S]*"ec2:RunInstances"/);
  under.standIn.world.denied.add('TerminateInstances');
  const ill = await run('ec2', '--json');
  t.equal(ill.code, 1);
  t.match(JSON.parse(ill.out), { findings: [{}, {}, { grade: 'bad', about: 'us-west-2: ec2:TerminateInstances' }] });
  const unknown = await run('ec3');
  t.equal(unknown.code, 1);
  t.match(unknown.err, /lists no machine provider "ec3".*ec2/);
});
