import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as catalogue from './catalogue-actions.ts';
import { Ec2Fault } from './ec2-fault.ts';
import { Ec2World } from './ec2-world.ts';
import type { Action } from './filters.ts';
import * as instances from './instance-actions.ts';
import { parseQuery, type QueryTree } from './query-params.ts';
import { runInstances } from './run-instances.ts';
import { verifySignature } from './signature.ts';
import { answerXml, faultXml } from './xml.ts';

const VERSION = '2016-11-15';
const MAX_BODY = 1_000_000;
const ACTIONS: Record<string, Action> = {
  RunInstances: runInstances,
  TerminateInstances: instances.terminateInstances,
  DescribeInstances: instances.describeInstances,
  DescribeInstanceStatus: instances.describeInstanceStatus,
  DescribeInstanceTypes: catalogue.describeInstanceTypes,
  DescribeInstanceTypeOfferings: catalogue.describeInstanceTypeOfferings,
  DescribeImages: catalogue.describeImages,
  DescribeSubnets: catalogue.describeSubnets,
  DescribeKeyPairs: catalogue.describeKeyPairs,
  DescribeSecurityGroups: catalogue.describeSecurityGroups,
  DescribeSpotInstanceRequests: instances.describeSpotInstanceRequests,
};

/** How one call goes wrong. */
export type Mischief =
  | 'refuse-connection' // cut off before anything was done
  | 'silence' // nothing is done, nothing is ever answered
  | 'lose-answer' // done, and cut off
  | 'late-answer' // done at once, answered after a while
  | 'late-act' // cut off now, done after a while
  | 'twice' // arrives twice: done twice, answered once
  | 'throttle'
  | 'fault' // 503 before anything was done
  | 'fault-after'; // done, and 500

/** EC2's Query API over an `Ec2World`, on a loopback port: strict in what it takes, and as unkind in what it gives as a test wants. */
export class Ec2StandIn {
  readonly world = new Ec2World();
  /** Asked before each call; null: all goes well. */
  mischief: (action: string) => Mischief | null = () => null;
  /** Milliseconds for what comes late. */
  lateMs = 200;
  readonly calls: { action: string; region: string; params: ReadonlyMap<string, QueryTree> }[] = [];
  /** Refusals of what no client of ours should ever send. */
  readonly faults: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.#take(request, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  readonly #timers = new Set<NodeJS.Timeout>();

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(request);
    const requestId = randomUUID();
    let act: () => string;
    let action = '';
    try {
      const call = this.#parse(request, body);
      action = call.action;
      act = () => answerXml(action, requestId, call.run(this.world, call.region, call.params));
    } catch (error) {
      if (error instanceof Ec2Fault) this.faults.push(`${error.code}: ${error.message}`);
      answerFault(response, error, requestId);
      return;
    }
    const answer = (): void => {
      try {
        const text = act();
        response.writeHead(200, { 'content-type': 'text/xml;charset=UTF-8' }).end(text);
      } catch (error) {
        answerFault(response, error, requestId);
      }
    };
    this.#misbehave(this.mischief(action), act, answer, response, requestId);
  }

  #misbehave(
    mischief: Mischief | null,
    act: () => string,
    answer: () => void,
    response: ServerResponse,
    requestId: string,
  ): void {
    switch (mischief) {
      case null:
        answer();
        break;
      case 'silence':
        break;
      case 'refuse-connection':
        response.destroy();
        break;
      case 'lose-answer':
        quietly(act);
        response.destroy();
        break;
      case 'late-answer': {
        const kept = answerOf(act, requestId);
        this.#later(() => response.writeHead(kept.status, { 'content-type': 'text/xml' }).end(kept.text));
        break;
      }
      case 'late-act':
        response.destroy();
        this.#later(() => quietly(act));
        break;
      case 'twice':
        quietly(act);
        answer();
        break;
      case 'throttle':
        answerFault(response, new Ec2Fault('RequestLimitExceeded', 'Request limit exceeded.', 503), requestId);
        break;
      case 'fault':
        answerFault(response, new Ec2Fault('Unavailable', 'The service is unavailable.', 503), requestId);
        break;
      case 'fault-after':
        quietly(act);
        answerFault(response, new Ec2Fault('InternalError', 'An internal error has occurred', 500), requestId);
        break;
    }
  }

  #parse(
    request: IncomingMessage,
    body: string,
  ): { action: string; region: string; params: ReadonlyMap<string, QueryTree>; run: Action } {
    const { method = '', url = '', headers } = request;
    const { region } = verifySignature({ method, url, headers, body }, (id) => this.world.accessKeys.get(id));
    if (!this.world.regions.has(region))
      throw new Ec2Fault('AuthFailure', 'Credential should be scoped to a valid region.', 401);
    if (method !== 'POST' || url !== '/') throw new Ec2Fault('InvalidRequest', 'POST / is what there is', 404);
    if (!/^application\/x-www-form-urlencoded(;|$)/.test(headers['content-type'] ?? ''))
      throw new Ec2Fault('InvalidRequest', 'the body is no form', 415);
    const tree = parseQuery(body);
    const [action, version] = [tree.get('Action'), tree.get('Version')];
    if (version !== VERSION) throw new Ec2Fault('InvalidParameterValue', `there is no version ${String(version)}`);
    const run = typeof action === 'string' ? ACTIONS[action] : undefined;
    if (typeof action !== 'string' || !run)
      throw new Ec2Fault('InvalidAction', `The action ${String(action)} is not valid for this web service.`);
    tree.delete('Action');
    tree.delete('Version');
    this.calls.push({ action, region, params: tree });
    if (this.world.denied.has(action))
      throw new Ec2Fault('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403);
    return { action, region, params: tree, run };
  }

  #later(act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, this.lateMs);
    this.#timers.add(timer);
  }
}

async function read(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) {
    body += String(chunk);
    if (body.length > MAX_BODY) throw new Error('the body is too large');
  }
  return body;
}

function answerOf(act: () => string, requestId: string): { status: number; text: string } {
  try {
    return { status: 200, text: act() };
  } catch (error) {
    if (!(error instanceof Ec2Fault)) throw error;
    return { status: error.status, text: faultXml(error.code, error.message, requestId) };
  }
}

function answerFault(response: ServerResponse, error: unknown, requestId: string): void {
  const { status, text } = answerOf(() => {
    throw error;
  }, requestId);
  response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8' }).end(text);
}

/** Nobody will hear whether it was refused. */
function quietly(act: () => string): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof Ec2Fault)) throw error;
  }
}
