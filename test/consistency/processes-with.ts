import { readdirSync, readFileSync } from 'node:fs';

export interface FoundProcess {
  pid: number;
  /** The name of its program. */
  program: string;
  variable(name: string): string | undefined;
}

/** The processes of this host that live and in whose environment a variable is as asked for. */
export function processesWith(name: string, isAsked: (value: string) => boolean): FoundProcess[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      // Of who has ended and was not waited for it is empty.
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const variable = (wanted: string): string | undefined =>
        environment.find((entry) => entry.startsWith(`${wanted}=`))?.slice(wanted.length + 1);
      const value = variable(name);
      if (value === undefined || !isAsked(value)) return [];
      return [{ pid: Number(pid), program: readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), variable }];
    } catch {
      return []; // it has ended, or is not ours to look into
    }
  });
}
