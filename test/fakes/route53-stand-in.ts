import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { changesIn, changeXml, errorXml, recordSetsXml, zonesXml } from './route53-xml.ts';
import { compare, type HostedZone, orderKey } from './route53-zone.ts';

export const ACCESS_KEY = 'AKIACEREBROSTANDIN00';

/** What goes wrong, as Route 53 says it. */
class Route53Fault extends Error {
  readonly code: string;
  readonly httpStatus: number;

  constructor(code: string, message: string, httpStatus = 400) {
    super(message);
    this.code = code;
    this.httpStatus = httpStatus;
  }
}

/** Route 53's REST-XML API as its documentation has it: atomic batches that are exact about what they delete, pages, changes that are pending. */
export class Route53StandIn {
  readonly zones: HostedZone[];
  readonly requests: string[] = [];
  /** Sets, and zones, on one page. */
  pageSize = 300;
  /** Looks at a change until it is in sync. */
  syncLooks = 1;
  /** Faults of the coming requests, one each, before anything was done. */
  readonly faults: { code: string; message: string; httpStatus: number }[] = [];
  /** Is run before a change, as when somebody else is faster. */
  beforeChange: () => void = () => undefined;
  url = '';
  readonly #changes = new Map<string, number>();
  #server: Server | null = null;

  constructor(zones: readonly HostedZone[]) {
    this.zones = [...zones];
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: Error) => response.destroy(error));
    });
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address === 'object' && address) this.url = `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '/', 'http://route53');
    this.requests.push(`${request.method} ${url.pathname}`);
    try {
      checkSignature(request.headers.authorization ?? '');
      const fault = this.faults.shift();
      if (fault) throw new Route53Fault(fault.code, fault.message, fault.httpStatus);
      send(response, 200, this.#answer(request.method ?? '', url, Buffer.concat(chunks).toString()));
    } catch (error) {
      if (!(error instanceof Route53Fault)) throw error;
      send(response, error.httpStatus, errorXml(error.code, error.message));
    }
  }

  #answer(method: string, url: URL, body: string): string {
    const [version, resource, id = '', part] = url.pathname.split('/').slice(1);
    if (version !== '2013-04-01') throw new Route53Fault('InvalidInput', 'no such version');
    if (resource === 'change' && method === 'GET') return this.#change(id);
    if (resource !== 'hostedzone') throw new Route53Fault('InvalidInput', `no such resource: ${resource}`);
    if (id === '' && method === 'GET') return this.#listZones(url.searchParams.get('marker'));
    const zone = this.zones.find((one) => one.id === id);
    if (!zone) throw new Route53Fault('NoSuchHostedZone', `No hosted zone found with ID: ${id}`, 404);
    if (part === 'rrset' && method === 'GET') return this.#listSets(zone, url.searchParams);
    if (part !== 'rrset' || method !== 'POST') throw new Route53Fault('InvalidInput', `no ${method} ${url.pathname}`);
    this.beforeChange();
    const problems = zone.change(changesIn(body));
    if (problems.length > 0) throw new Route53Fault('InvalidChangeBatch', `[${problems.join(', ')}]`);
    const changeId = `C${this.#changes.size + 1}`;
    this.#changes.set(changeId, this.syncLooks);
    return changeXml('ChangeResourceRecordSetsResponse', changeId, 'PENDING');
  }

  #change(id: string): string {
    const left = this.#changes.get(id);
    if (left === undefined) throw new Route53Fault('NoSuchChange', `no change ${id}`, 404);
    this.#changes.set(id, left - 1);
    return changeXml('GetChangeResponse', id, left <= 1 ? 'INSYNC' : 'PENDING');
  }

  #listZones(marker: string | null): string {
    const from = marker === null ? 0 : this.zones.findIndex((zone) => zone.id === marker);
    return zonesXml(this.zones.slice(from, from + this.pageSize), this.zones[from + this.pageSize]?.id ?? null);
  }

  #listSets(zone: HostedZone, query: URLSearchParams): string {
    const name =
      query.get('name')?.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))) ?? null;
    const type = query.get('type') ?? '';
    const start = name === null ? '' : orderKey({ name, type });
    const all = zone.sets.filter((set) => compare(orderKey(set), start) >= 0);
    return recordSetsXml(all.slice(0, this.pageSize), all[this.pageSize] ?? null);
  }
}

function checkSignature(authorization: string): void {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/[a-z0-9-]+\/route53\/aws4_request, SignedHeaders=.*host.*, Signature=[0-9a-f]{64}$/.exec(
      authorization,
    );
  if (!match) throw new Route53Fault('MissingAuthenticationToken', 'Missing Authentication Token', 403);
  if (match[1] !== ACCESS_KEY)
    throw new Route53Fault('InvalidClientTokenId', 'The security token included in the request is invalid', 403);
}

function send(response: ServerResponse, code: number, xml: string): void {
  response.writeHead(code, { 'content-type': 'text/xml', 'x-amzn-requestid': 'stand-in' });
  response.end(`<?xml version="1.0"?>\n${xml}`);
}
