import { existsSync } from 'node:fs';

let shell: string | undefined;

/** /bin/bash, or /bin/sh where there is no bash. */
export function shellPath(): string {
  shell ??= existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';
  return shell;
}
