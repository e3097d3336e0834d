import {
  DescribeImagesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeSpotInstanceRequestsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type EC2ClientConfig,
  type Instance as Ec2Instance,
  type Filter,
  type Image,
  type InstanceStatus,
  type InstanceTypeInfo,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CerebroError } from '../../core/errors.ts';
import { codeOf, type Doing, explain } from './ec2-errors.ts';
import type { Config } from './schema.ts';
import { TAG, tagOf } from './tags.ts';

/** More pages than this are no answer but a fault. */
const MAX_PAGES = 1000;

/**
 * One region's API: every call under a deadline, with the SDK's adaptive retries (one client, so one bucket, for each region),
 * every list read to its end. What fails is thrown as EC2 or the SDK has it; `explain` makes sentences of it.
 */
export class Ec2Region {
  readonly name: string;
  readonly #config: Config;
  #ended = new AbortController();
  #made: EC2Client | null = null;

  constructor(name: string, config: Config) {
    this.name = name;
    this.#config = config;
  }

  open(): void {
    this.#ended = new AbortController();
  }

  /** Breaks off what is under way; until `open` nothing more is asked. */
  close(): void {
    this.#ended.abort();
    this.#made?.destroy();
    this.#made = null;
  }

  /** The client itself, for what has no method here. */
  get client(): EC2Client {
    this.#made ??= new EC2Client(clientConfig(this.name, this.#config));
    return this.#made;
  }

  /** The deadline of one call with all of its tries. */
  deadline(): AbortSignal {
    const { timeout, attempts } = this.#config.api;
    return AbortSignal.any([this.#ended.signal, AbortSignal.timeout(timeout * attempts * 1000)]);
  }

  /** All that bears the cluster's tag, the ended too. */
  async instances(clusterId: string, machineId?: string): Promise<Ec2Instance[]> {
    const filters = [filter(`tag:${TAG.cluster}`, clusterId)];
    if (machineId !== undefined) filters.push(filter(`tag:${TAG.machine}`, machineId));
    const found = await this.#describe(filters);
    // EC2 has filtered already. What we end by this list is looked at twice.
    return found.filter(
      (one) =>
        tagOf(one, TAG.cluster) === clusterId && (machineId === undefined || tagOf(one, TAG.machine) === machineId),
    );
  }

  /** What was made with a client token, if it can be seen. */
  async byToken(token: string): Promise<Ec2Instance | undefined> {
    return (await this.#describe([filter('client-token', token)]))[0];
  }

  #describe(Filters: Filter[]): Promise<Ec2Instance[]> {
    return this.#pages(async (NextToken) => {
      const input = { Filters, MaxResults: 1000, ...(NextToken !== undefined && { NextToken }) };
      const page = await this.client.send(new DescribeInstancesCommand(input), { abortSignal: this.deadline() });
      return { items: (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances), next: page.NextToken };
    });
  }

  async run(request: RunInstancesCommandInput): Promise<Ec2Instance> {
    const answer = await this.client.send(new RunInstancesCommand(request), { abortSignal: this.deadline() });
    const [made] = answer.Instances ?? [];
    if (!made?.InstanceId)
      throw new CerebroError('unavailable', `EC2 in ${this.name} has answered without an instance`);
    return made;
  }

  async terminate(ids: readonly string[]): Promise<void> {
    await this.client.send(new TerminateInstancesCommand({ InstanceIds: [...ids] }), { abortSignal: this.deadline() });
  }

  statuses(ids: readonly string[]): Promise<InstanceStatus[]> {
    return this.#inBatches(ids, async (InstanceIds) => {
      const answer = await this.client.send(new DescribeInstanceStatusCommand({ InstanceIds }), {
        abortSignal: this.deadline(),
      });
      return answer.InstanceStatuses ?? [];
    });
  }

  /** The instances on the spot market that EC2 is about to end. */
  async spotNotices(ids: readonly string[]): Promise<string[]> {
    return this.#inBatches(ids, async (batch) => {
      const Filters = [
        filter('instance-id', ...batch),
        filter('status-code', 'marked-for-termination', 'marked-for-stop'),
      ];
      const answer = await this.client.send(new DescribeSpotInstanceRequestsCommand({ Filters }), {
        abortSignal: this.deadline(),
      });
      return (answer.SpotInstanceRequests ?? []).flatMap(({ InstanceId }) => InstanceId ?? []);
    });
  }

  /** Those of the names that are known here. */
  typeInfos(names: readonly string[]): Promise<InstanceTypeInfo[]> {
    return this.#pages(async (NextToken) => {
      const input = { Filters: [filter('instance-type', ...names)], ...(NextToken !== undefined && { NextToken }) };
      const page = await this.client.send(new DescribeInstanceTypesCommand(input), { abortSignal: this.deadline() });
      return { items: page.InstanceTypes ?? [], next: page.NextToken };
    });
  }

  /** Those of the names that are sold in the availability zone. */
  async offered(az: string, names: readonly string[]): Promise<Set<string>> {
    const offers = await this.#pages(async (NextToken) => {
      const page = await this.client.send(
        new DescribeInstanceTypeOfferingsCommand({
          LocationType: 'availability-zone',
          Filters: [filter('location', az), filter('instance-type', ...names)],
          ...(NextToken !== undefined && { NextToken }),
        }),
        { abortSignal: this.deadline() },
      );
      return { items: page.InstanceTypeOfferings ?? [], next: page.NextToken };
    });
    return new Set(offers.flatMap(({ InstanceType }) => InstanceType ?? []));
  }

  async images(choice: { id: string } | { name: string; owner: string; architecture: string }): Promise<Image[]> {
    const byId = 'id' in choice;
    const answer = await this.client.send(
      new DescribeImagesCommand(
        byId
          ? { ImageIds: [choice.id] }
          : {
              Owners: [choice.owner],
              Filters: [
                filter('name', choice.name),
                filter('architecture', choice.architecture),
                filter('state', 'available'),
                filter('root-device-type', 'ebs'),
              ],
            },
      ),
      { abortSignal: this.deadline() },
    );
    return answer.Images ?? [];
  }

  /** The default subnet of an availability zone, if there is one. */
  async defaultSubnet(az: string): Promise<string | undefined> {
    const answer = await this.client.send(
      new DescribeSubnetsCommand({ Filters: [filter('availability-zone', az), filter('default-for-az', 'true')] }),
      { abortSignal: this.deadline() },
    );
    return answer.Subnets?.[0]?.SubnetId;
  }

  /** true: EC2 would do it. Throws what it says otherwise. */
  async wouldAllow(call: (options: { abortSignal: AbortSignal }) => Promise<unknown>): Promise<boolean> {
    try {
      await call({ abortSignal: this.deadline() });
      return true;
    } catch (error) {
      if (codeOf(error) === 'DryRunOperation') return true;
      throw error;
    }
  }

  explain(error: unknown, action: string, more: Pick<Doing, 'zone' | 'type'> = {}): CerebroError {
    return explain(error, { action: `ec2:${action}`, region: this.name, ...more });
  }

  async #pages<T>(
    page: (token: string | undefined) => Promise<{ items: T[]; next: string | undefined }>,
  ): Promise<T[]> {
    const all: T[] = [];
    let token: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const { items, next } = await page(token);
      all.push(...items);
      if (!next) return all;
      token = next;
    }
    throw new CerebroError('unavailable', `EC2 in ${this.name} gives lists without an end`);
  }

  async #inBatches<T>(ids: readonly string[], ask: (batch: string[]) => Promise<T[]>): Promise<T[]> {
    const all: T[] = [];
    for (let i = 0; i < ids.length; i += 100) all.push(...(await ask(ids.slice(i, i + 100))));
    return all;
  }
}

function filter(Name: string, ...Values: string[]): Filter {
  return { Name, Values };
}

function clientConfig(region: string, config: Config): EC2ClientConfig {
  const { api, credentials, profile, endpoint } = config;
  return {
    region,
    retryMode: 'adaptive',
    maxAttempts: api.attempts,
    requestHandler: {
      requestTimeout: api.timeout * 1000,
      connectionTimeout: Math.min(5, api.timeout) * 1000,
      throwOnRequestTimeout: true,
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ...(credentials && {
      credentials: {
        accessKeyId: credentials.access_key_id,
        secretAccessKey: credentials.secret_access_key,
        ...(credentials.session_token !== undefined && { sessionToken: credentials.session_token }),
      },
    }),
  };
}
