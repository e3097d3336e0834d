import { createHash } from 'node:crypto';
import type { Clock } from '../../core/contracts/clock.ts';
import type { MachineIdentities } from '../../core/contracts/identity-issuer.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { IDENTITY_FILE } from '../../core/model/tls-identity.ts';
import { lostContact } from './lost-contact.ts';
import { BROKEN_RUNTIME, KEEPER, putInForce, START_PLAIN } from './put-in-force.ts';
import type { Packed, SitterPackage } from './sitter-package.ts';
import { checkSpace, judgeTarget, type TargetFacts } from './target-facts.ts';
import { type SitterTarget, TargetHands } from './target-hands.ts';
import { END_PLAIN, REMOVE_SYSTEMD, STAY_DOWN_SYSTEMD, SUSPEND } from './target-scripts.ts';

export type { SitterTarget } from './target-hands.ts';

/** For a sitter from before to end, too. */
const PUT_IN_FORCE_S = 180;
/** Ending tasks in order takes as long as their own stop_timeouts. */
const WIPE_S = 300;
const ANSWER_MS = 90_000;
/** A sitter that answers ends its tasks in their own time; this is for one that does not, and for its own end. */
const SUSPEND_S = 60;
/** Who waits longer for what is brought is told why. */
const PACKING_MS = 500;
const ASK_AGAIN_MS = 250;
const LOOK_MS = 2000;
/** As many ends of a sitter that was just started are no accident. */
const HOPELESS_ENDS = 3;

export interface DeployedSitter {
  /** https://ADDRESS:PORT, where it has answered. */
  endpoint: string;
  /** false: all was there already and ran. */
  changed: boolean;
}

export interface MachineSitterDeploymentDeps {
  package: SitterPackage;
  /** The service of that name. */
  identities: MachineIdentities;
  clock: Clock;
  /** Milliseconds for a sitter from its start until it answers; default 90 s. */
  answerMs?: number;
  /** Seconds for a sitter until it takes the order to end its tasks; default 60. What runs then is killed. */
  suspendS?: number;
}

/**
 * Turns any Linux that there is a `Remote` to into a machine of the cluster, in one pass, or brings one up to date under its running
 * tasks. The target downloads nothing: program and Node runtime come from this host. Bears being done again at any time, from any point.
 */
export class MachineSitterDeployment {
  readonly #deps: MachineSitterDeploymentDeps;
  readonly #answerMs: number;

  constructor(deps: MachineSitterDeploymentDeps) {
    this.#deps = deps;
    this.#answerMs = deps.answerMs ?? ANSWER_MS;
  }

  /** Resolves when the sitter has answered over mutual TLS. Throws one sentence that says what is wrong with the target. */
  async deploy(target: SitterTarget): Promise<DeployedSitter> {
    const hands = new TargetHands(target);
    const { identities, package: pack } = this.#deps;
    const identity = await identities.issue(target.machineId);
    hands.progress(`it is looked at over SSH`);
    const facts = await hands.facts();
    const arch = judgeTarget(facts, {
      machineId: target.machineId,
      port: hands.port,
      authority: sha256(identity.authority),
      now: this.#deps.clock.now() / 1000,
    });
    if (hands.usesSystemd(facts) && facts.unit === 'other')
      throw new CerebroError(
        'conflict',
        'its cerebro-machine.service is that of another machine sitter; remove that first, or have this one run without systemd (service: plain)',
      );
    if (!facts.bash) hands.tell('there is no /bin/bash: commands of tasks are run by /bin/sh');
    const packer = await pack.packer(facts.zstd);
    const [program, runtime] = await this.#packed(hands, [pack.program(packer), pack.runtime(arch, packer)]);
    const bring = [
      { kind: 'runtimes', packed: runtime },
      { kind: 'programs', packed: program },
    ].filter(({ packed }) => !facts.has.has(packed.name));
    checkSpace(
      facts,
      bring.map(({ packed }) => packed),
    );
    for (const { kind, packed } of bring) await hands.bring(facts.folder, kind, packed);

    const changed = await this.#putInForce(hands, facts, { program, runtime, identity: JSON.stringify(identity) });
    const endpoint = `https://${target.address.includes(':') ? `[${target.address}]` : target.address}:${hands.port}`;
    await this.#untilItAnswers(hands, facts.folder, endpoint);
    return { endpoint, changed };
  }

  /**
   * Ends the sitter and its tasks, and removes everything that `deploy` has put there. Fine twice, and where nothing is. In order, if the
   * sitter does that; one that hangs, or does not come up, is killed with its tasks. Throws `unavailable` when something may still run.
   */
  async wipe(target: SitterTarget): Promise<void> {
    const hands = new TargetHands(target);
    const facts = await hands.facts();
    // Another's units say nothing about what is in our folder.
    const systemd = hands.usesSystemd(facts) && facts.unit !== 'other';
    // Our unit may be there still where the folder is not: its tasks run.
    const nothing = facts.has.size === 0 && !(systemd && facts.unit === 'ours');
    if (!facts.folder.startsWith('/') || nothing) return;
    hands.tell('the machine sitter and its tasks are ended');
    if (systemd) await hands.shell(STAY_DOWN_SYSTEMD, [facts.folder]);
    try {
      await this.#suspend(hands, facts, systemd);
    } catch (error) {
      if (lostContact(error)) throw error;
      hands.tell(`what runs there is killed, since it could not be ended in order: ${messageOf(error)}`);
    }
    try {
      await hands.shell(systemd ? REMOVE_SYSTEMD : END_PLAIN, [facts.folder], WIPE_S);
    } catch (error) {
      const sentence = `what runs there could not be ended, and nothing was deleted: ${messageOf(error)}`;
      throw new CerebroError('unavailable', sentence, { cause: error });
    }
    await hands.shell('set -eu; rm -rf "$1"', [facts.folder]);
  }

  /** Has the sitter end its tasks and itself. */
  async #suspend(hands: TargetHands, facts: TargetFacts, systemd: boolean): Promise<void> {
    const { folder } = facts;
    // One that is not there cannot end what it has started, and systemd would know of it: elsewhere it is started for that.
    const revived = !facts.running && !systemd && facts.deployed !== '';
    if (revived) await hands.shell(START_PLAIN, [folder]);
    if (!facts.running && !revived) return;
    const node = [`${folder}/runtime/bin/node`, '--input-type=module', '-', folder];
    await hands.run([...node, String(this.#deps.suspendS ?? SUSPEND_S)], SUSPEND, WIPE_S);
  }

  /** Only the first deployment of a version waits for it, and is to say so. */
  async #packed(hands: TargetHands, packing: [Promise<Packed>, Promise<Packed>]): Promise<[Packed, Packed]> {
    const slow = this.#deps.clock.timer(PACKING_MS, () =>
      hands.progress('Cerebro and its Node are packed here, once for all machines'),
    );
    try {
      return await Promise.all(packing);
    } finally {
      slow.cancel();
    }
  }

  /** Certificate, settings, service, and the links that name program and runtime. true: the sitter was started, or started again. */
  async #putInForce(
    hands: TargetHands,
    facts: TargetFacts,
    { program, runtime, identity }: { program: Packed; runtime: Packed; identity: string },
  ): Promise<boolean> {
    const { folder } = facts;
    const settings = JSON.stringify(
      { ...hands.target.settings, data_dir: `${folder}/data`, host: hands.target.host ?? '0.0.0.0', port: hands.port },
      null,
      2,
    );
    const systemd = hands.usesSystemd(facts);
    const deployed = sha256([program.name, runtime.name, settings, systemd ? 'systemd' : KEEPER].join('\0'));
    const file = `data/${IDENTITY_FILE}`;
    if (deployed === facts.deployed && facts.running) {
      await hands.write(identity, `${folder}/${file}`, 0o600);
      return false;
    }
    hands.tell(
      facts.running ? 'the machine sitter is started again; its tasks run on' : 'the machine sitter is started',
    );
    const { script, args } = putInForce({
      folder,
      program: program.name,
      runtime: runtime.name,
      port: hands.port,
      systemd,
      identity: { file, text: identity },
      settings,
      deployed,
    });
    const { code, stderr } = await hands.run(['/bin/sh', '-s', '--', ...args], script, PUT_IN_FORCE_S, true);
    if (code === 0) return true;
    const words = stderr.trim().split('\n').at(-1) || `code ${code}`;
    if (code === BROKEN_RUNTIME)
      throw new CerebroError('unsupported', `the Node runtime ${runtime.name} does not run there: ${words}`);
    throw new CerebroError('invalid', `the program ${program.name} could not be put in force there: ${words}`);
  }

  async #untilItAnswers(hands: TargetHands, folder: string, endpoint: string): Promise<void> {
    const { clock, identities } = this.#deps;
    const deadline = clock.monotonic() + this.#answerMs;
    hands.progress(`its machine sitter is to answer at ${endpoint}`);
    let look = clock.monotonic() + LOOK_MS;
    for (;;) {
      hands.checkSignal();
      try {
        await identities.greet(hands.target.machineId, endpoint);
        return;
      } catch (error) {
        if (clock.monotonic() >= deadline) throw await this.#silence(hands, folder, endpoint, error);
        // Not at once: it takes a moment to start.
        if (clock.monotonic() >= look)
          hands.progress(`its machine sitter does not answer yet at ${endpoint}: ${messageOf(error)}`);
      }
      if (clock.monotonic() >= look) {
        await this.#checkThatItStays(hands, folder);
        look = clock.monotonic() + LOOK_MS;
      }
      await new Promise<void>((resolve) => clock.timer(ASK_AGAIN_MS, resolve));
    }
  }

  /** One that ends again and again need not be waited for. */
  async #checkThatItStays(hands: TargetHands, folder: string): Promise<void> {
    if ((await hands.facts()).ends < HOPELESS_ENDS) return;
    const words = await hands.lastWords(folder);
    throw new CerebroError('unavailable', `the machine sitter ends whenever it is started; its last words: ${words}`);
  }

  /** Why it does not answer, as far as it can be found out from the inside. */
  async #silence(hands: TargetHands, folder: string, endpoint: string, error: unknown): Promise<CerebroError> {
    const seconds = this.#answerMs / 1000;
    const { listening } = await hands.facts();
    const sentence = listening
      ? `the machine sitter listens on port ${hands.port} there, but ${endpoint} was not reached from here within ${seconds} s; is there a firewall or a security group in between? (${messageOf(error)})`
      : `the machine sitter did not start within ${seconds} s; its last words: ${await hands.lastWords(folder)}`;
    return new CerebroError('unavailable', sentence);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
