import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CerebroError } from '../../core/errors.ts';
import { KILL_MARKED } from '../../recipes/machine-sitter/kill-marked.ts';
import { lostContact } from '../../recipes/machine-sitter/lost-contact.ts';
import { shellQuote } from '../remotes/shell-quote.ts';
import type { SshRemote } from '../remotes/ssh-remote.ts';

/** The variable that marks every process of a machine: its sitter, shims, tasks and recipes. Its value: CLUSTER/MACHINE. */
export const MACHINE_MARKER = 'CEREBRO_MACHINE';

/** The file on a host that says whose it is. */
const claimFile = z.object({ clusterId: z.string(), machineId: z.string(), intent: z.string() });
export type Claim = z.infer<typeof claimFile>;

const SHORT_S = 30;
const WIPE_S = 120;
/** No claim file begins like this. */
const STRANGER = 'stranger ';

/** For /bin/sh in our folder. The claim goes last: until then the host is not free. */
const DELETE_OURS = `
rm -rf -- data home sitter
rm -f -- claim.*.new claim.*.new.*.part
rm -f -- claim
`;

/**
 * For /bin/sh in our folder: `stranger` is the name of something in there, where no claim is; whatever it is called, it is not known
 * to be ours then, and giving the host back must not delete it.
 */
const FIND_STRANGER = `
stranger=
if ! [ -e claim ]; then
  # A recipe that was still at work when its machine was ended may have made it again.
  rmdir home 2>/dev/null || :
  for path in * .[!.]* ..?*; do
    case $path in claim | claim.*.new | claim.*.new.*.part) continue ;; esac
    if [ -e "$path" ] || [ -L "$path" ]; then stranger=$path; break; fi
  done
fi
`;

/**
 * One host's side of being a machine. Everything lies in one folder: `claim` (whose it is), `data` (the machine sitter's) and
 * `home` (where recipes work). The claim is made by a link, so of two clusters that reach for a host at once one gets it.
 */
export class ClaimedHost {
  readonly #remote: SshRemote;
  readonly #asRoot: boolean;

  /** `remote` works in that folder. */
  constructor(remote: SshRemote, asRoot: boolean) {
    this.#remote = remote;
    this.#asRoot = asRoot;
  }

  /** Takes the host, unless somebody has it; resolves to whose it is then. Throws `conflict` for a folder with other things in it. */
  async claim(claim: Claim): Promise<Claim> {
    const mine = `claim.${randomUUID()}.new`;
    await this.#remote.write(JSON.stringify(claim), mine, { mode: 0o600 });
    const script = [
      FIND_STRANGER,
      `[ -n "$stranger" ] || ln -- ${shellQuote(mine)} claim 2>/dev/null || :`,
      `rm -f -- ${shellQuote(mine)}`,
      `if [ -n "$stranger" ]; then printf '${STRANGER}%s/%s' "$PWD" "$stranger"; else cat claim; fi`,
    ].join('\n');
    const text = await this.#remote.script(script, { name: 'claim the host', timeout: SHORT_S });
    if (text.startsWith(STRANGER))
      throw new CerebroError(
        'conflict',
        `${text.slice(STRANGER.length)} is there and not ours; name a folder of our own (the setting "folder"), or delete that if nobody needs it`,
      );
    return parseClaim(text);
  }

  /** Whose the host is; undefined: nobody's. */
  owner(): Promise<Claim | undefined> {
    return readClaim(this.#remote, 'claim');
  }

  /**
   * Ends what runs in order, as far as `endInOrder` does that, then everything that bears the machine's mark; deletes the folder, and
   * gives the host back. Nothing is done to another's host. Where no claim is, only what bears the mark is ended. Where `endInOrder` fails for another reason than lost contact,
   * `onDisorder` is told, and what is left is killed: its copies may run elsewhere already.
   */
  async release(
    clusterId: string,
    machineId: string,
    endInOrder: () => Promise<void>,
    onDisorder: (error: unknown) => void,
  ): Promise<void> {
    const owner = await this.owner();
    if (owner !== undefined && (owner.clusterId !== clusterId || owner.machineId !== machineId)) return;
    try {
      await endInOrder();
    } catch (error) {
      if (lostContact(error)) throw error;
      onDisorder(error);
    }
    const script = [
      `mark=${shellQuote(`${MACHINE_MARKER}=${clusterId}/${machineId}`)}`,
      KILL_MARKED,
      owner === undefined ? '' : DELETE_OURS,
      // Whatever else lies in there is not ours, and stays.
      'folder=$PWD\ncd /\nrmdir -- "$folder" 2>/dev/null || :',
    ].join('\n');
    await this.#remote.script(script, { name: 'wipe the host', asRoot: this.#asRoot, timeout: WIPE_S });
  }
}

/** The claim at a path there; undefined: there is none. Throws `conflict` for one that cannot be read. */
export async function readClaim(remote: SshRemote, path: string): Promise<Claim | undefined> {
  const script = `cat -- ${shellQuote(path)} 2>/dev/null || :`;
  const text = await remote.script(script, { name: 'read the claim', timeout: SHORT_S });
  return text === '' ? undefined : parseClaim(text);
}

/** Takes a host. undefined: it is the order's from now on, or was already. Else why it cannot be. */
export async function claimFor(
  { clusterId, machineId, intent }: Claim,
  host: ClaimedHost,
): Promise<string | undefined> {
  try {
    const owner = await host.claim({ clusterId, machineId, intent });
    if (owner.intent === intent && owner.clusterId === clusterId) return undefined;
    return `is ${owner.machineId} of ${owner.clusterId === clusterId ? 'this cluster' : `another cluster (${owner.clusterId})`}`;
  } catch (error) {
    if (error instanceof CerebroError && error.code === 'conflict') return `is not taken: ${error.message}`;
    throw error;
  }
}

function parseClaim(text: string): Claim {
  const result = claimFile.safeParse(parsed(text));
  if (result.success) return result.data;
  throw new CerebroError(
    'conflict',
    'its claim file cannot be read, so nobody knows whose the host is; delete it if nobody is',
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it with a sentence
  }
}
