import type { TaskDefinition, TaskPhase, TaskStatus } from '../../core/model/task.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { World } from './world.ts';

/** Ends without a stable run in between, from which on a task is said to flap. */
const FLAPPING_AFTER = 3;
const STABLE_MS = 10_000;

/** A task as its machine has it: its life takes time, and ends as the command says (`sim flaps`) while there are faults. */
export class SimulatedTask {
  definition: TaskDefinition;
  phase: TaskPhase = 'stopped';
  health: 'starting' | 'healthy' | 'unhealthy' | null = null;
  /** When its present run began. */
  startedAt = 0;
  /** When its phase or its health last changed. */
  changedAt = 0;
  /** What it last ran well as. */
  wasWellAs: Pick<TaskDefinition, 'version' | 'generation'> | null = null;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #onChange: (task: SimulatedTask) => void;
  /** Grows with every change of phase, so that what was planned for an earlier one does not come. */
  #turn = 0;
  #since: number;
  #reason = 'added';
  #run = 0;
  #restarts = 0;
  #inARow = 0;
  /** The definition that the present run began with. */
  #running: TaskDefinition | null = null;
  /** When it began to run, and as what. */
  readonly #began: { at: number; version: number }[] = [];
  /** What is to come when it has stopped; a restart comes with its machine when that goes down meanwhile. */
  #atRest: { next(): void; restarts: boolean }[] = [];
  #isDown = false;

  constructor(world: World, random: SeededRandom, definition: TaskDefinition, onChange: (task: SimulatedTask) => void) {
    this.#world = world;
    this.#random = random;
    this.definition = definition;
    this.#onChange = onChange;
    this.#since = world.clock.now();
  }

  /** There is a process of it. */
  get runs(): boolean {
    return this.phase === 'starting' || this.phase === 'running' || this.phase === 'stopping';
  }

  /** Does what it is to do as that version and generation, in truth and just now. */
  isWell({ version, generation }: Pick<TaskDefinition, 'version' | 'generation'>): boolean {
    if (this.definition.version !== version || this.definition.generation !== generation) return false;
    if (this.phase === 'exited') return true;
    return this.phase === 'running' && this.#running === this.definition && (this.health ?? 'healthy') === 'healthy';
  }

  /** The version that it ran, or had run last, at a time; undefined: it had not begun. */
  versionAt(time: number): number | undefined {
    return this.#began.findLast(({ at }) => at <= time)?.version;
  }

  start(why: string): void {
    if (this.runs || this.#isDown) return;
    this.#run += 1;
    this.#began.push({ at: this.#world.clock.now(), version: this.definition.version });
    this.#running = this.definition;
    this.startedAt = this.#world.clock.now();
    this.#become('starting', why);
    if (this.definition.leash !== null) this.#world.onLeashedStart(this.definition.job);
    const slow = this.#behaviour() === 'slow' ? 15_000 : 1500;
    this.#later(this.#random.between(30, slow), () => this.#up());
  }

  /** The process is ended in order; then `next` tells what becomes of the task. */
  stop(why: string, next: () => void = () => this.#become('stopped', why), restarts = false): void {
    if (this.phase === 'stopping') {
      this.#atRest.push({ next, restarts });
      return;
    }
    if (!this.runs) {
      next();
      return;
    }
    this.#atRest.push({ next, restarts });
    this.#become('stopping', why);
    const longest = Math.min(8000, this.definition.configuration.stop_timeout * 1000);
    this.#later(this.#random.between(20, longest), () => this.#ended());
  }

  restart(why: string): void {
    const again = (): void => {
      this.phase = 'stopped';
      this.start(why);
    };
    this.stop(why, again, true);
  }

  /** Its process ends without anybody having asked for it. */
  crash(why: string): void {
    if (this.phase !== 'running') return;
    this.#inARow += 1;
    this.#restarts += 1;
    this.#become('backoff', why);
    this.#later(this.#random.between(100, Math.min(20_000, 1000 * 2 ** this.#inARow)), () =>
      this.start('started again'),
    );
  }

  /** Its machine went down with everything on it; whether it is to start when that comes back. */
  fall(): boolean {
    const wasWanted = this.runs || this.phase === 'backoff';
    const waiting = this.#atRest.splice(0);
    if (wasWanted) this.#become('stopped', 'the machine went down');
    // A task that was being stopped or removed has got there this way too.
    this.#isDown = true;
    for (const { next } of waiting) next();
    return wasWanted && waiting.every(({ restarts }) => restarts);
  }

  /** Its machine is back. */
  rise(): void {
    this.#isDown = false;
  }

  status(): TaskStatus {
    const { id, job, version, generation, configuration } = this.definition;
    return {
      ...QUIET,
      id,
      job,
      name: configuration.name,
      version,
      generation,
      phase: this.phase,
      reason: this.#reason,
      since: new Date(this.#since).toISOString(),
      pid: this.runs ? 1000 + this.#run : null,
      run: this.#run,
      startedAt: this.runs ? new Date(this.#since).toISOString() : null,
      restarts: this.#restarts,
      flapping: this.#inARow >= FLAPPING_AFTER,
      health: this.health === null ? null : { state: this.health, sentence: `it is ${this.health}` },
    };
  }

  #up(): void {
    const checked = this.definition.configuration.health_check !== undefined;
    this.health = checked ? 'starting' : null;
    this.#become('running', 'its process runs');
    const behaviour = this.#behaviour();
    if (checked) this.#later(this.#random.between(500, 4000), () => this.#judge(behaviour));
    if (behaviour === 'flaps') this.#later(this.#random.between(300, 15_000), () => this.crash('it ended by itself'));
    if (behaviour === 'exits' && this.definition.configuration.allow_exit)
      this.#later(this.#random.between(500, 8000), () => this.#become('exited', 'it is done'));
    this.#later(STABLE_MS, () => {
      const flapped = this.#inARow >= FLAPPING_AFTER;
      this.#inARow = 0;
      if (flapped) this.#onChange(this);
    });
  }

  #judge(behaviour: string): void {
    this.health = behaviour === 'ails' ? 'unhealthy' : 'healthy';
    this.changedAt = this.#world.clock.now();
    this.#onChange(this);
    if (this.health === 'unhealthy') this.#later(this.#random.between(500, 3000), () => this.crash('it was not well'));
  }

  #ended(): void {
    const waiting = this.#atRest.splice(0);
    this.#become('stopped', this.#reason);
    for (const { next } of waiting) next();
  }

  /** In calm times everybody behaves, but for what is meant to end. */
  #behaviour(): string {
    const [, behaviour = 'steady'] = (this.#running ?? this.definition).configuration.command.split(' ');
    return this.#world.calm && behaviour !== 'exits' ? 'steady' : behaviour;
  }

  #become(phase: TaskPhase, why: string): void {
    if (this.isWell(this.definition)) this.wasWellAs = this.definition;
    this.#turn += 1;
    this.phase = phase;
    this.#reason = why;
    this.#since = this.changedAt = this.#world.clock.now();
    if (phase !== 'running') this.health = null;
    this.#world.tell(`    ${this.definition.id} v${this.definition.version} is ${phase}: ${why}`);
    this.#onChange(this);
  }

  #later(ms: number, callback: () => void): void {
    const turn = this.#turn;
    this.#world.after(ms, () => {
      if (this.#turn === turn) callback();
    });
  }
}

const QUIET = {
  pid: null,
  nextStartAt: null,
  revision: 1,
  limits: {
    cpu: null,
    memBytes: null,
    pids: null,
    enforcer: 'sim',
    holds: { cpu: 'none', mem: 'none', pids: 'none', io: 'none' },
  },
  usage: null,
  warnings: [],
  logs: null,
  lastEnd: null,
} satisfies Partial<TaskStatus>;
