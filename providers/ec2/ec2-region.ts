import {
  DescribeImagesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeSpotInstanceRequestsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type Instance as Ec2Instance,
  type Filter,
  type Image,
  type InstanceStatus,
  type InstanceTypeInfo,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { Clock } from '../../core/contracts/clock.ts';
import { CerebroError } from '../../core/errors.ts';
import { CallBudget } from './call-budget.ts';
import { ec2Client, orAborted } from './ec2-client.ts';
import { type Doing, explain, isThrottling } from './ec2-errors.ts';
import type { Config } from './schema.ts';
import { TAG, tagOf } from './tags.ts';

/** One call to EC2, by its own client and under its deadline. */
export type Ask<T> = (client: EC2Client, options: { abortSignal: AbortSignal }) => Promise<T>;

/** More pages than this are no answer but a fault. */
const MAX_PAGES = 1000;

/**
 * One region's API: every call under a deadline, with the SDK's retries and one budget for the whole region; every list read to its
 * end. What fails is thrown as EC2 or the SDK has it; `explain` makes sentences of it.
 */
export class Ec2Region {
  readonly name: string;
  readonly #config: Config;
  #ended = new AbortController();
  readonly #budget: CallBudget;
  /** What was asked when it failed: the SDK's errors do not say. */
  readonly #failedAt = new WeakMap<Error, string>();
  #client: EC2Client | null = null;

  constructor(name: string, config: Config, clock: Clock) {
    this.name = name;
    this.#config = config;
    this.#budget = new CallBudget(clock, config.api.rate);
  }

  open(): void {
    this.#ended = new AbortController();
  }

  /** Breaks off what is under way; until `open` nothing more is asked. */
  close(): void {
    this.#ended.abort();
    this.#client?.destroy();
    this.#client = null;
  }

  /** Makes one call in its turn, with all of its tries under one deadline. */
  async call<T>(action: string, ask: Ask<T>): Promise<T> {
    const { timeout, attempts } = this.#config.api;
    const abortSignal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(timeout * attempts * 1000)]);
    try {
      await this.#budget.take(abortSignal);
      this.#client ??= ec2Client(this.name, this.#config);
      const answer = await orAborted(ask(this.#client, { abortSignal }), abortSignal);
      this.#budget.answered();
      return answer;
    } catch (error) {
      if (isThrottling(error)) this.#budget.throttled();
      if (error instanceof Error) this.#failedAt.set(error, action);
      throw error;
    }
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

  /** All that bears the tag of a cluster, of whichever. */
  async tagged(): Promise<Ec2Instance[]> {
    return this.#describe([filter('tag-key', TAG.cluster)]);
  }

  /** What was made with a client token, if it can be seen. */
  async byToken(token: string): Promise<Ec2Instance | undefined> {
    return (await this.#describe([filter('client-token', token)]))[0];
  }

  #describe(Filters: Filter[]): Promise<Ec2Instance[]> {
    return this.#pages(async (NextToken) => {
      const input = { Filters, MaxResults: 1000, ...(NextToken !== undefined && { NextToken }) };
      const page = await this.call('DescribeInstances', (client, options) =>
        client.send(new DescribeInstancesCommand(input), options),
      );
      return { items: (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances), next: page.NextToken };
    });
  }

  async run(request: RunInstancesCommandInput): Promise<Ec2Instance> {
    const answer = await this.call('RunInstances', (client, options) =>
      client.send(new RunInstancesCommand(request), options),
    );
    const [made] = answer.Instances ?? [];
    if (!made?.InstanceId)
      throw new CerebroError('unavailable', `EC2 in ${this.name} has answered without an instance`);
    return made;
  }

  async terminate(ids: readonly string[]): Promise<void> {
    await this.call('TerminateInstances', (client, options) =>
      client.send(new TerminateInstancesCommand({ InstanceIds: [...ids] }), options),
    );
  }

  statuses(ids: readonly string[]): Promise<InstanceStatus[]> {
    return this.#inBatches(ids, async (InstanceIds) => {
      const answer = await this.call('DescribeInstanceStatus', (client, options) =>
        client.send(new DescribeInstanceStatusCommand({ InstanceIds }), options),
      );
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
      const answer = await this.call('DescribeSpotInstanceRequests', (client, options) =>
        client.send(new DescribeSpotInstanceRequestsCommand({ Filters }), options),
      );
      return (answer.SpotInstanceRequests ?? []).flatMap(({ InstanceId }) => InstanceId ?? []);
    });
  }

  /** Those of the names that are known here. */
  typeInfos(names: readonly string[]): Promise<InstanceTypeInfo[]> {
    return this.#pages(async (NextToken) => {
      const input = { Filters: [filter('instance-type', ...names)], ...(NextToken !== undefined && { NextToken }) };
      const page = await this.call('DescribeInstanceTypes', (client, options) =>
        client.send(new DescribeInstanceTypesCommand(input), options),
      );
      return { items: page.InstanceTypes ?? [], next: page.NextToken };
    });
  }

  /** Those of the names that are sold in the availability zone. */
  async offered(az: string, names: readonly string[]): Promise<Set<string>> {
    const offers = await this.#pages(async (NextToken) => {
      const page = await this.call('DescribeInstanceTypeOfferings', (client, options) =>
        client.send(
          new DescribeInstanceTypeOfferingsCommand({
            LocationType: 'availability-zone',
            Filters: [filter('location', az), filter('instance-type', ...names)],
            ...(NextToken !== undefined && { NextToken }),
          }),
          options,
        ),
      );
      return { items: page.InstanceTypeOfferings ?? [], next: page.NextToken };
    });
    return new Set(offers.flatMap(({ InstanceType }) => InstanceType ?? []));
  }

  async images(choice: { id: string } | { name: string; owner: string; architecture: string }): Promise<Image[]> {
    const byId = 'id' in choice;
    const answer = await this.call('DescribeImages', (client, options) =>
      client.send(
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
        options,
      ),
    );
    return answer.Images ?? [];
  }

  /** The default subnet of an availability zone, if there is one. */
  async defaultSubnet(az: string): Promise<string | undefined> {
    const answer = await this.call('DescribeSubnets', (client, options) =>
      client.send(
        new DescribeSubnetsCommand({ Filters: [filter('availability-zone', az), filter('default-for-az', 'true')] }),
        options,
      ),
    );
    return answer.Subnets?.[0]?.SubnetId;
  }

  /** The error of a call as a sentence; `more` is what an order adds to it. */
  explain(error: unknown, more: Pick<Doing, 'zone' | 'type'> = {}): CerebroError {
    const action = error instanceof Error ? this.#failedAt.get(error) : undefined;
    return explain(error, {
      action: action === undefined ? 'what was asked' : `ec2:${action}`,
      region: this.name,
      ...more,
    });
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
