/** One process that is a whole fleet: hosts simulated machines, and takes orders over a local HTTP port. Started by `bench/fleet.ts`. */
import { createServer, type IncomingMessage } from 'node:http';
import type { Instance, MachineOrder } from '../../core/contracts/machine-provider.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const [portText = '0', machinePortText = '0'] = process.argv.slice(2);
const machinePort = Number(machinePortText);

interface Hosted {
  machine: SimulatedMachine;
  instance: Instance;
}

const fleet = new Map<string, Hosted>();
/** When each task was first given, in ms since the epoch. */
const given = new Map<string, number>();

/** Every machine has an address of its own, all on one port: 127.9.0.1, 127.9.0.2 … */
function addressOf(n: number): string {
  return `127.9.${n >> 8}.${n & 255}`;
}

async function create(order: MachineOrder): Promise<Instance> {
  const known = fleet.get(order.machineId);
  if (known) return known.instance;
  const { clusterId, machineId, zone, intent, identity } = order;
  const address = addressOf(fleet.size + 1);
  const machine = new SimulatedMachine({ id: machineId, address, port: machinePort }, identity, (task) =>
    given.set(`${machineId}/${task}`, Date.now()),
  );
  const instance: Instance = {
    ref: machineId,
    clusterId,
    machineId,
    zone,
    intent,
    state: 'running',
    address,
    endpoint: machine.endpoint,
  };
  fleet.set(machineId, { machine, instance });
  await machine.listen();
  return instance;
}

function totals(): { machines: number; streams: number; tasks: number } {
  const all = [...fleet.values()].map(({ machine }) => machine);
  return {
    machines: all.length,
    streams: all.filter((machine) => machine.streams > 0).length,
    tasks: all.reduce((sum, machine) => sum + machine.tasks, 0),
  };
}

async function act(path: string, body: Record<string, unknown>): Promise<unknown> {
  const id = String(body.machineId ?? '');
  switch (path) {
    case '/create':
      return create(body as unknown as MachineOrder);
    case '/describe':
      return [...fleet.values()].map(({ instance }) => instance);
    case '/destroy':
      fleet.get(id)?.machine.die();
      fleet.delete(id);
      return {};
    case '/die': {
      // The provider goes on saying that it runs: silence is all the evidence.
      const hosted = fleet.get(id);
      hosted?.machine.die();
      return { at: Date.now(), tasks: hosted?.machine.tasks ?? 0 };
    }
    case '/totals':
      return totals();
    case '/given':
      return [...given].filter(([, at]) => at >= Number(body.since));
    case '/end':
      setTimeout(() => process.exit(0), 10);
      return {};
    default:
      throw new Error(`${path} is nothing that is asked of a fleet`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

createServer((request, response) => {
  bodyOf(request)
    .then((body) => act(request.url ?? '', body))
    .then(
      (answer) => response.end(JSON.stringify(answer)),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(JSON.stringify({ error: String(error) }));
      },
    );
}).listen(Number(portText), '127.0.0.1', () => console.log('the fleet is there'));
// Whoever started it is gone: so is the fleet.
process.stdin.on('end', () => process.exit(0)).resume();
