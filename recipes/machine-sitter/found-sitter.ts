import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { foundTaskFile } from '../../core/model/adoption.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import { IDENTITY_FILE, namedMachine, type TlsIdentity } from '../../core/model/tls-identity.ts';
import { namesIn, unescaped } from './target-facts.ts';

/** A machine sitter that is on a machine already, whosever it is; nobody asks the sitter itself. */
export interface SitterPlace {
  remote: Remote;
  machineId: string;
  /** The sitter's data folder there; relative to the remote's own folder. */
  data: string;
  /** Whether its files are root's. */
  asRoot: boolean;
}

const LOOK_S = 25;

/**
 * DATA: the certificate as it stands in its JSON, then each task's file, on a line each. Changes nothing, and ends with `end`, so that
 * half of an answer does not pass for a whole one. A task that is just being removed may be there or not. Who tells of a failure quotes
 * what was said on standard error, where there is anything: never a task's file, which may hold secrets.
 */
const LOOK = `
echo 'the files of a machine sitter were being read' >&2
cd -- "$1" 2>/dev/null || exit 0
printf 'certificate %s\\n' "$(sed -n 's/.*"certificate": *"\\([^"]*\\)".*/\\1/p' ${IDENTITY_FILE} 2>/dev/null)"
[ ! -e tasks ] || ls tasks >/dev/null || exit 1
for file in tasks/*/task.json; do
  [ -e "$file" ] || continue
  if text=$(tr -d '\\n' <"$file"); then
    printf 'task %s\\n' "$text"
  elif [ -e "$file" ]; then
    echo "$file cannot be read" >&2
    exit 1
  fi
done
echo end
`;

/**
 * The tasks of a sitter as they are defined, read from its files. Throws `not_found` where no sitter has its data, `conflict` where it
 * is another machine's, and `invalid` for what cannot be read: whoever adopts a machine must not miss a task.
 */
export async function readSitterTasks(place: SitterPlace): Promise<TaskDefinition[]> {
  const found = await look(place);
  if (found === null) throw noSitter(place);
  return found.map((text) => {
    const file = foundTaskFile.safeParse(parsed(text));
    if (file.success) return file.data.definition;
    throw new CerebroError(
      'invalid',
      `the file of a task in ${place.data}/tasks there cannot be read; mend it, or remove that task`,
    );
  });
}

/** Gives a sitter another certificate, which it takes up by itself. false: there is no sitter. Throws `conflict` as above. */
export async function putIdentity(place: SitterPlace, identity: TlsIdentity): Promise<boolean> {
  if ((await look(place)) === null) return false;
  const { remote, data, asRoot } = place;
  await remote.write(JSON.stringify(identity), `${data}/${IDENTITY_FILE}`, { mode: 0o600, sudo: asRoot });
  return true;
}

export function noSitter({ data }: Pick<SitterPlace, 'data'>): CerebroError {
  return new CerebroError(
    'not_found',
    `there is no machine sitter's data in ${data} there; the settings name another folder than when it was put there, or it never was`,
  );
}

/** The files of its tasks; null: no sitter has its data there. */
async function look({ remote, machineId, data, asRoot }: SitterPlace): Promise<string[] | null> {
  const lines: string[] = [];
  const options = {
    input: LOOK,
    timeout: LOOK_S,
    onLine: (stream: 'stdout' | 'stderr', line: string): void => {
      if (stream === 'stdout') lines.push(line);
    },
  };
  const argv = ['/bin/sh', '-s', '--', data];
  await (asRoot ? remote.sudo(argv, options) : remote.run(argv, options));
  if (lines.length === 0) return null;
  const tasks: string[] = [];
  let certificate = '';
  for (const line of lines.slice(0, -1)) {
    if (line.startsWith('task ')) tasks.push(line.slice('task '.length));
    else if (line.startsWith('certificate ')) certificate = line.slice('certificate '.length);
    else throw new CerebroError('invalid', `what lies in ${data} there is larger than a machine sitter's files are`);
  }
  if (lines.at(-1) !== 'end') throw new CerebroError('unavailable', `${data} there was not read to its end`);
  const named = certificate === '' ? undefined : namedMachine(namesIn(unescaped(certificate)));
  if (named !== undefined && named !== machineId)
    throw new CerebroError('conflict', `the machine sitter in ${data} there is ${named}, and not ${machineId}`);
  return tasks;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it with a sentence
  }
}
