import {
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeKeyPairsCommand,
  DescribeSecurityGroupsCommand,
  DescribeSpotInstanceRequestsCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { ProviderReport } from '../../core/contracts/machine-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import type { Finding } from '../../core/model/finding.ts';
import type { Catalogue } from './catalogue.ts';
import { codeOf, isUnknownInstance } from './ec2-errors.ts';
import type { Ask, Ec2Region } from './ec2-region.ts';
import { hostKeyOf } from './host-key.ts';
import { launchRequest } from './launch-request.ts';
import { leastPolicy } from './policy.ts';
import type { Site } from './site.ts';
import { userData } from './user-data.ts';

/** An instance that nobody has: asking to end it, as a dry run, tells of the right to and touches nothing. */
const NOBODY = 'i-00000000000000000';

export interface Ec2Inspection {
  sites: ReadonlyMap<string, Site>;
  regions: ReadonlyMap<string, Ec2Region>;
  catalogue: Catalogue;
  publicKeys(paths: readonly string[]): string[];
}

/** Looks at credentials, rights and settings, zone by zone. Everything that would change something is a dry run. */
export async function inspectEc2(inspection: Ec2Inspection): Promise<ProviderReport> {
  const { regions, sites, catalogue } = inspection;
  const findings: Finding[] = [];
  await catalogue.start();
  catalogue.stop();
  for (const region of regions.values()) {
    const first = await inspectRegion(
      region,
      [...sites.values()].filter((site) => site.region === region.name),
    );
    findings.push(...first);
    if (first.some(({ grade }) => grade === 'bad')) continue; // every zone would only say the same again
    for (const site of sites.values())
      if (site.region === region.name) findings.push(...(await inspectSite(site, region, inspection)));
  }
  for (const region of regions.values()) region.close();
  const policy = JSON.stringify(leastPolicy([...sites.values()]), null, 2);
  return { findings, texts: [{ title: 'The least IAM policy that these settings need', text: policy }] };
}

/** Credentials, and the rights that every zone of the region needs. */
async function inspectRegion(region: Ec2Region, sites: readonly Site[]): Promise<Finding[]> {
  const { name } = region;
  const looks: [action: string, call: Ask<unknown>][] = [
    ['DescribeInstances', (client, o) => client.send(new DescribeInstancesCommand({ DryRun: true }), o)],
    ['DescribeInstanceStatus', (client, o) => client.send(new DescribeInstanceStatusCommand({ DryRun: true }), o)],
    [
      'TerminateInstances',
      (client, o) => client.send(new TerminateInstancesCommand({ DryRun: true, InstanceIds: [NOBODY] }), o),
    ],
  ];
  if (sites.some(({ spot }) => spot !== 'never'))
    looks.push([
      'DescribeSpotInstanceRequests',
      (client, o) => client.send(new DescribeSpotInstanceRequestsCommand({ DryRun: true }), o),
    ]);
  const findings: Finding[] = [];
  for (const [action, call] of looks) {
    try {
      await dryRun(region, action, call);
      findings.push(good(`${name}: ec2:${action}`, 'allowed'));
    } catch (error) {
      // Whoever has no right to end it is told so, and not that it does not exist.
      if (isUnknownInstance(error)) findings.push(good(`${name}: ec2:${action}`, 'not refused'));
      else {
        const { code, message } = region.explain(error);
        findings.push(bad(`${name}: ec2:${action}`, message, code === 'forbidden' ? 'grant the policy below' : null));
        // Without credentials, or without an answer, the rest is the same sentence.
        if (code !== 'forbidden') break;
      }
    }
  }
  return findings;
}

async function inspectSite(site: Site, region: Ec2Region, inspection: Ec2Inspection): Promise<Finding[]> {
  const { catalogue } = inspection;
  const about = (what: string): string => `${site.zone}: ${what}`;
  const findings: Finding[] = [];
  const look = async (what: string, ask: () => Promise<string>): Promise<void> => {
    try {
      findings.push(good(about(what), await ask()));
    } catch (error) {
      findings.push(bad(about(what), region.explain(error, { zone: site.zone }).message, null));
    }
  };
  const types = catalogue.types(site.zone);
  const complaint = catalogue.complaint(site.zone);
  if (types.length === 0) findings.push(bad(about('instance types'), complaint ?? 'none', 'list some that it has'));
  else {
    const list = types
      .map(({ name, cpu, mem, price }) => `${name} (${cpu} cores, ${mem} MB, ${price ?? 'no price'})`)
      .join(', ');
    findings.push(good(about('instance types'), list));
    if (complaint !== null)
      findings.push({ about: about('instance types'), grade: 'worse', found: complaint, advice: 'correct the list' });
    const unpriced = types.filter(({ price }) => price === undefined).map(({ name }) => name);
    if (unpriced.length > 0)
      findings.push({
        about: about('prices'),
        grade: 'worse',
        found: `unknown for ${unpriced.join(', ')}: beside sizes with a price they are compared by cores and memory`,
        advice: 'say them in "prices"',
      });
  }
  await look('SSH keys', async () => {
    const keys = inspection.publicKeys(site.ssh.keys);
    if (keys.length === 0 && site.key_pair === undefined)
      throw new CerebroError('invalid', 'ssh.keys: name a private key, or nobody can prepare the machines');
    return `${keys.length} for ${site.ssh.user}`;
  });
  if (site.key_pair !== undefined) {
    const KeyNames = [site.key_pair];
    await look('key pair', async () => {
      await region.call('DescribeKeyPairs', (client, options) =>
        client.send(new DescribeKeyPairsCommand({ KeyNames }), options),
      );
      return KeyNames.join();
    });
  }
  if (site.security_groups.length > 0)
    await look('security groups', async () => {
      const GroupIds = site.security_groups;
      await region.call('DescribeSecurityGroups', (client, options) =>
        client.send(new DescribeSecurityGroupsCommand({ GroupIds }), options),
      );
      return GroupIds.join(', ');
    });
  else
    findings.push({
      about: about('security groups'),
      grade: 'worse',
      found: "none: the VPC's default group is used, which as a rule lets nobody in from outside",
      advice: `name a group that lets this host in at ports ${site.ssh.port} and ${site.sitter_port}`,
    });
  const [type] = types;
  if (type) await look('a launch (dry run)', () => dryLaunch(site, region, type.name, inspection));
  return findings;
}

async function dryLaunch(site: Site, region: Ec2Region, size: string, inspection: Ec2Inspection): Promise<string> {
  const { catalogue } = inspection;
  const order = {
    clusterId: 'doctor',
    machineId: 'doctor',
    zone: site.zone,
    type: { name: size, cpu: 1, mem: 1 },
    intent: 'doctor',
    token: 'doctor',
  };
  const image = await catalogue.image(site, await catalogue.architecture(site, size));
  const subnet = await catalogue.subnet(site);
  const hostKey = hostKeyOf(order);
  const authorizedKeys = inspection.publicKeys(site.ssh.keys);
  const { ClientToken: _none, ...request } = launchRequest(order, site, {
    image,
    subnet,
    userData: userData({ hostKey, authorizedKeys, script: site.user_data }),
    hostKey: hostKey.publicKey,
  });
  await dryRun(region, 'RunInstances', (client, options) =>
    client.send(new RunInstancesCommand({ ...request, DryRun: true }), options),
  );
  return `${size} of ${image.id} in ${subnet} would be made`;
}

/** Resolves when EC2 would do it; throws what it says otherwise. */
async function dryRun(region: Ec2Region, action: string, ask: Ask<unknown>): Promise<void> {
  try {
    await region.call(action, ask);
  } catch (error) {
    if (codeOf(error) !== 'DryRunOperation') throw error;
  }
}

function good(about: string, found: string): Finding {
  return { about, grade: 'good', found, advice: null };
}

function bad(about: string, found: string, advice: string | null): Finding {
  return { about, grade: 'bad', found, advice };
}
