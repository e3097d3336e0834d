import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  type HostedZone,
  ListHostedZonesCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { CerebroError } from '../../core/errors.ts';
import { explainAws, isInvalidBatch } from './aws-error.ts';
import type { Config } from './schema.ts';

/** For each of the tries that the SDK makes of a call. */
const TRIES = 5;
/** Pages of one list: a zone has 10,000 sets unless Amazon was asked for more. */
const MAX_PAGES = 1000;

/** The calls that are needed, each with a deadline; what goes wrong is a sentence. */
export class Route53Api {
  readonly #client: Route53Client;
  readonly #timeoutMs: number;
  readonly #stopping = new AbortController();

  constructor(config: Config) {
    this.#timeoutMs = config.timeout * 1000;
    this.#client = new Route53Client({
      // One service for all regions; the SDK wants one all the same.
      region: config.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1',
      ...(config.profile === undefined ? {} : { profile: config.profile }),
      maxAttempts: TRIES,
      requestHandler: { connectionTimeout: this.#timeoutMs / 2, requestTimeout: this.#timeoutMs },
    });
  }

  /** Ends what is under way. */
  close(): void {
    this.#stopping.abort();
    this.#client.destroy();
  }

  async hostedZones(): Promise<HostedZone[]> {
    const zones: HostedZone[] = [];
    let marker: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const command = new ListHostedZonesCommand({ Marker: marker });
      const answer = await this.#call('route53:ListHostedZones', (options) => this.#client.send(command, options));
      zones.push(...(answer.HostedZones ?? []));
      if (!answer.IsTruncated) break;
      marker = answer.NextMarker;
    }
    return zones;
  }

  /** The sets of a zone in its order from `name` on, until `take` wants no more. */
  async recordSets(zoneId: string, name: string, take: (set: ResourceRecordSet) => boolean): Promise<void> {
    let start: {
      StartRecordName?: string;
      StartRecordType?: ResourceRecordSet['Type'];
      StartRecordIdentifier?: string;
    } = {
      StartRecordName: name,
    };
    for (let page = 0; page < MAX_PAGES; page++) {
      const command = new ListResourceRecordSetsCommand({ HostedZoneId: zoneId, ...start });
      const answer = await this.#call('route53:ListResourceRecordSets', (options) =>
        this.#client.send(command, options),
      );
      for (const set of answer.ResourceRecordSets ?? []) if (!take(set)) return;
      if (!answer.IsTruncated) return;
      start = {
        StartRecordName: answer.NextRecordName,
        StartRecordType: answer.NextRecordType,
        StartRecordIdentifier: answer.NextRecordIdentifier,
      };
    }
  }

  /** The id of the change; null: something is not as the change has it, and nothing was done. */
  async change(zoneId: string, changes: Change[]): Promise<{ id: string } | { refused: CerebroError }> {
    const command = new ChangeResourceRecordSetsCommand({
      HostedZoneId: zoneId,
      ChangeBatch: { Comment: 'Cerebro', Changes: changes },
    });
    const action = 'route53:ChangeResourceRecordSets';
    try {
      const answer = await this.#client.send(command, { abortSignal: this.#deadline() });
      return { id: answer.ChangeInfo?.Id ?? '' };
    } catch (error) {
      if (isInvalidBatch(error)) return { refused: explainAws(error, action) };
      throw this.#explain(error, action);
    }
  }

  async isInSync(changeId: string): Promise<boolean> {
    const command = new GetChangeCommand({ Id: changeId });
    const answer = await this.#call('route53:GetChange', (options) => this.#client.send(command, options));
    return answer.ChangeInfo?.Status === 'INSYNC';
  }

  async #call<T>(action: string, send: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    try {
      return await send({ abortSignal: this.#deadline() });
    } catch (error) {
      throw this.#explain(error, action);
    }
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(this.#timeoutMs)]);
  }

  #explain(error: unknown, action: string): CerebroError {
    return this.#stopping.signal.aborted
      ? new CerebroError('unavailable', 'Cerebro is stopping', { cause: error })
      : explainAws(error, action);
  }
}
