import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../../core/errors.ts';

/** One control group: a folder whose files are its knobs and figures. */
export class Cgroup {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  make(): void {
    try {
      mkdirSync(this.path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }

  /** undefined: the group or the file is not there. */
  read(file: string): string | undefined {
    try {
      return readWhole(join(this.path, file));
    } catch (error) {
      // ENODEV: the group was removed while the file was open.
      if (['ENOENT', 'ENODEV', 'EACCES'].includes(systemCode(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** A file with one number; null for "max" and for what is not there. */
  number(file: string): number | null {
    const value = Number(this.read(file) ?? Number.NaN);
    return Number.isFinite(value) ? value : null;
  }

  /** One line `KEY NUMBER` of a file; 0 where there is none. */
  field(file: string, key: string): number {
    return fieldOf(this.read(file) ?? '', key);
  }

  write(file: string, value: string | number): void {
    writeFileSync(join(this.path, file), String(value));
  }

  /** As `write`; false where the kernel does not take it. */
  tryWrite(file: string, value: string | number): boolean {
    try {
      this.write(file, value);
      return true;
    } catch {
      return false; // no such knob here, or no such group any more
    }
  }

  controllers(): Set<string> {
    return new Set((this.read('cgroup.controllers') ?? '').trim().split(' ').filter(Boolean));
  }

  /** The groups inside, not deeper. */
  children(): Cgroup[] {
    try {
      return readdirSync(this.path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => new Cgroup(join(this.path, entry.name)));
    } catch {
      return []; // it is gone
    }
  }

  /** The processes in it and in the groups that it made inside. */
  pids(): number[] {
    const own = (this.read('cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number);
    return [...own, ...this.children().flatMap((child) => child.pids())];
  }

  get isPopulated(): boolean {
    return this.field('cgroup.events', 'populated') === 1;
  }

  /** Removes it with the groups inside, the innermost first; false while somebody is in it. */
  remove(): boolean {
    for (const child of this.children()) child.remove();
    try {
      rmdirSync(this.path);
      return true;
    } catch (error) {
      return systemCode(error) === 'ENOENT';
    }
  }
}

export function fieldOf(text: string, key: string): number {
  const start = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (start === 0 && !text.startsWith(`${key} `)) return 0;
  return Number.parseInt(text.slice(start + key.length + 1), 10) || 0;
}

/** Longer than these files are; they come whole with the first read, where readFileSync asks five times. */
const chunk = Buffer.allocUnsafeSlow(8192);

function readWhole(path: string): string {
  const file = openSync(path, 'r');
  try {
    const length = readSync(file, chunk, 0, chunk.length, 0);
    return length < chunk.length ? chunk.toString('latin1', 0, length) : readFileSync(path, 'latin1');
  } finally {
    closeSync(file);
  }
}
