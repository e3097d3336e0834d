import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import { IDENTITY_FILE, type TlsIdentity } from '../../core/model/tls-identity.ts';
import { readSitterTasks } from '../../recipes/machine-sitter/found-sitter.ts';
import { shellQuote, shellWords } from '../remotes/shell-quote.ts';
import type { Config } from './schema.ts';
import { sitterUrl } from './sitter-url.ts';
import type { HostHands, Sitters } from './sitters.ts';

const SHORT_S = 30;
/** In our folder on the host. */
const FOLDER = 'data';

/** Starts a program that is on the host already (the setting `sitter.command`). */
export class StartedSitters implements Sitters {
  readonly #command: readonly string[];
  readonly #settings: Config['sitter'];

  constructor(command: readonly string[], settings: Config['sitter']) {
    this.#command = command;
    this.#settings = settings;
  }

  async prepare(hands: HostHands, { token, identity }: Pick<MachineOrder, 'token' | 'identity'>): Promise<void> {
    const { remote } = hands;
    await remote.script(`mkdir -p -- ${FOLDER} && chmod 700 ${FOLDER}`, {
      name: 'make the data folder',
      timeout: SHORT_S,
    });
    await remote.write(`${token}\n`, `${FOLDER}/admin.token`, { mode: 0o600 });
    await this.renew(hands, identity);
  }

  url({ remote, address }: HostHands): Promise<string | null> {
    return sitterUrl(remote, address, { folder: FOLDER, asRoot: false });
  }

  /** It outlives the connection. A second one would only find the folder taken. */
  async start({ marked, address }: HostHands): Promise<void> {
    const { host = listenOn(address), port } = this.#settings;
    const flags = ['--mode', 'machine', '--data-dir', '.', '--host', host, '--port', String(port), '--port-fallback'];
    const program = shellQuote(this.#command[0] ?? '');
    const script = [
      // Tasks inherit it: where recipes work, so that a command can name what they have put there.
      'export CEREBRO_HOME="$PWD/home"',
      `cd ${FOLDER}`,
      `command -v ${program} >/dev/null || { echo 'there is no such program: '${program} >&2; exit 1; }`,
      `setsid ${shellWords([...this.#command, ...flags])} </dev/null >>sitter.log 2>&1 &`,
    ].join('\n');
    const remote = marked({ CEREBRO_ADDRESS: address });
    try {
      await remote.script(script, { name: 'start the machine sitter', timeout: SHORT_S });
    } finally {
      await remote.close();
    }
  }

  /** Everything of it bears the machine's mark. */
  async end(): Promise<void> {
    await Promise.resolve();
  }

  readTasks({ remote, machineId }: HostHands): Promise<TaskDefinition[]> {
    return readSitterTasks({ remote, machineId, data: FOLDER, asRoot: false });
  }

  /** A sitter that runs takes the file up by itself. */
  async renew({ remote }: HostHands, identity: TlsIdentity): Promise<void> {
    await remote.write(JSON.stringify(identity), `${FOLDER}/${IDENTITY_FILE}`, { mode: 0o600 });
  }
}

/** A host that is this one need not be reached from elsewhere; any other serves the cluster sitter over mutual TLS alone. */
function listenOn(address: string): string {
  return /^(127\.|localhost$|::1$)/.test(address) ? '127.0.0.1' : '0.0.0.0';
}
