import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import type { LimitEnforcer } from '../../core/contracts/limit-enforcer.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { systemCode } from '../../core/errors.ts';
import { MachineSitter } from '../../core/machine/machine-sitter.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import type { TaskDefinition, TaskStatus } from '../../core/model/task.ts';
import { taskConfiguration } from '../../core/model/task-configuration.ts';
import { Cgroup2Enforcer } from '../../plugins/enforcer-cgroup2/cgroup2-enforcer.ts';
import { ProcEnforcer } from '../../plugins/enforcer-proc/proc-enforcer.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

export type ConfigurationInput = Partial<z.input<typeof taskConfiguration>> & { command: string };

/** A machine sitter with real shims and processes, in a folder of its own, that can be let go of and taken up again. */
export class MachineUnderTest {
  readonly folder: string;
  readonly processes = new ProcTable();
  readonly #enforcerName: 'proc' | 'cgroup2';
  #enforcer: LimitEnforcer | null = null;
  #sitter: MachineSitter | null = null;

  /** `parent`: where its data folder is made. */
  constructor(parent: string = tmpdir(), enforcer: 'proc' | 'cgroup2' = 'proc') {
    this.#enforcerName = enforcer;
    this.folder = mkdtempSync(join(parent, 'cerebro-machine-'));
  }

  get sitter(): MachineSitter {
    if (!this.#sitter) throw new Error('the machine sitter is not started');
    return this.#sitter;
  }

  async start(bootId?: string): Promise<void> {
    const clock = new SystemClock();
    const { processes } = this;
    const table =
      bootId === undefined
        ? processes
        : {
            bootId,
            uptime: () => processes.uptime(),
            parse: (line: string) => processes.parse(line),
            read: (pid: number) => processes.read(pid),
            scan: () => processes.scan(),
            pids: () => processes.pids(),
            lastPid: () => processes.lastPid(),
            environment: (pid: number, name: string) => processes.environment(pid, name),
          };
    const services = { clock, logger: silentLogger, processes, dataDir: this.folder };
    this.#enforcer =
      this.#enforcerName === 'proc'
        ? new ProcEnforcer(services, { idle_interval: 0.1 })
        : new Cgroup2Enforcer(services, { mount: '/sys/fs/cgroup' });
    await this.#enforcer.start();
    this.#sitter = new MachineSitter({
      dataDir: this.folder,
      enforcer: this.#enforcer,
      clock,
      logger: silentLogger,
      processes: table,
    });
    await this.#sitter.start();
  }

  /** As a daemon that ends: everything it holds in memory is gone, the tasks are not. */
  async letGo(): Promise<void> {
    await this.#sitter?.stop();
    await this.#enforcer?.stop();
    this.#sitter = null;
  }

  async remove(): Promise<void> {
    if (!this.#sitter) await this.start();
    for (const { id } of this.sitter.tasks()) await this.sitter.remove(id);
    await this.letGo();
    // A shim that just ends may put a file down while its folder is removed; `maxRetries` does not look for it again.
    await eventually(() => isRemoved(this.folder), 'its folder is gone');
  }

  add(id: string, configuration: ConfigurationInput, version = 1): Promise<TaskStatus> {
    return this.sitter.put(definition(id, configuration, version), { start: true });
  }

  task(id: string): TaskStatus {
    return this.sitter.task(id);
  }

  /** Waits for a phase, and gives the status then. */
  async phase(id: string, phase: TaskStatus['phase'], run?: number): Promise<TaskStatus> {
    const there = (): boolean =>
      this.task(id).phase === phase &&
      (run === undefined || this.task(id).run >= run) &&
      (phase !== 'running' || this.task(id).pid !== null);
    await eventually(there, `${id} is ${phase}`).catch((error: unknown) => {
      throw new Error(`${error}; it is ${JSON.stringify(this.task(id))}`);
    });
    return this.task(id);
  }
}

export function definition(id: string, configuration: ConfigurationInput, version = 1): TaskDefinition {
  return {
    id,
    job: id,
    version,
    generation: 0,
    leash: null,
    configuration: taskConfiguration.parse({ name: id, ...configuration }),
  };
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOTEMPTY') return false;
    throw error;
  }
}
