import { resolve } from 'node:path';
import type { Recipe, RecipeContext } from '../../core/contracts/recipe.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { type ChildCall, type ChildContext, type ChildMessage, childMessage } from './messages.ts';
import { PythonChild, type PythonEnd } from './python-child.ts';

/** For the interpreter to end after its recipe has. */
const GOODBYE_MS = 10_000;

interface PythonSettings {
  python: string;
  path: readonly string[];
}

/** One run of a recipe in Python: the child says what is to be done, this side does it on the machine. */
export class PythonRecipe implements Recipe {
  readonly #recipe: string;
  readonly #settings: PythonSettings;
  readonly #context: RecipeContext;

  constructor(recipe: string, settings: PythonSettings, context: RecipeContext) {
    this.#recipe = recipe;
    this.#settings = settings;
    this.#context = context;
  }

  async runDeploy(): Promise<void> {
    const { signal, logger, progress } = this.#context;
    signal.throwIfAborted();
    let end: Extract<ChildMessage, { end: true }> | undefined;
    let broken: CerebroError | undefined;
    let goodbye: NodeJS.Timeout | undefined;
    const child = new PythonChild({
      ...this.#settings,
      module: 'run_recipe',
      args: [],
      onPrint: (stream, line) => logger.info({ stream }, line),
      onMessage: (line) => {
        const message = readMessage(line);
        if (message === undefined) {
          broken = new CerebroError(
            'invalid',
            `it wrote something else than messages to its daemon: ${line.slice(0, 200)}`,
          );
          child.kill();
        } else if ('log' in message) logger[message.log]({}, message.message);
        else if ('progress' in message) progress?.(message.progress, message.percent);
        else if ('end' in message) {
          end = message;
          goodbye = setTimeout(() => child.kill(), GOODBYE_MS);
        } else void this.#answer(child, message);
      },
    });
    const abort = (): void => child.kill();
    signal.addEventListener('abort', abort, { once: true });
    try {
      child.send(this.#childContext());
      const how = await child.ended;
      signal.throwIfAborted();
      if (broken) throw broken;
      if (end === undefined) throw new CerebroError('invalid', `Python ${endSentence(how)}`);
      if (end.failure) {
        for (const line of end.failure.traceback.trimEnd().split('\n')) logger.error({}, line);
        throw new CerebroError('invalid', end.failure.message);
      }
    } finally {
      clearTimeout(goodbye);
      signal.removeEventListener('abort', abort);
      child.kill();
    }
  }

  #childContext(): ChildContext {
    const { options, version, job, copy, machine, dnsName } = this.#context;
    return {
      recipe: this.#recipe,
      options,
      version: version ?? null,
      job,
      copy,
      machine: machine.id,
      zone: machine.zone,
      hostname: machine.address ?? machine.id,
      dns_hostname: typeof options.dns_hostname === 'string' ? options.dns_hostname : (dnsName ?? null),
    };
  }

  async #answer(child: PythonChild, call: ChildCall): Promise<void> {
    try {
      child.send({ id: call.id, result: await this.#perform(call) });
    } catch (error) {
      const code = error instanceof CerebroError ? error.code : 'internal';
      child.send({ id: call.id, error: { code, message: messageOf(error) } });
    }
  }

  #perform(call: ChildCall): Promise<unknown> {
    const { remote, logger, steps } = this.#context;
    switch (call.call) {
      case 'run': {
        const { argv, timeout, cwd, env, input } = call;
        const given = {
          ...(timeout !== undefined && { timeout }),
          ...(cwd !== undefined && { cwd }),
          ...(env && { env }),
        };
        const options = {
          ...given,
          ...(input !== undefined && { input }),
          allowFailure: true,
          onLine: (stream: string, line: string) => logger.info({ stream }, line),
        };
        return call.sudo ? remote.sudo(argv, options) : remote.run(argv, options);
      }
      case 'put':
        return remote.put(resolve(call.local), call.remote, dress(call));
      case 'put_folder':
        return remote.putFolder(
          resolve(call.local),
          call.remote,
          call.owner === undefined ? {} : { owner: call.owner },
        );
      case 'write':
        return remote.write(call.text, call.remote, dress(call)).then(() => null);
      case 'get':
        return remote.get(call.remote, resolve(call.local)).then(() => null);
      case 'step_done':
        if (!steps) return Promise.resolve(false);
        return call.set ? steps.setDone(call.step).then(() => true) : steps.isDone(call.step);
    }
  }
}

function dress({ mode, owner }: { mode?: number | undefined; owner?: string | undefined }): {
  mode?: number;
  owner?: string;
} {
  return { ...(mode !== undefined && { mode }), ...(owner !== undefined && { owner }) };
}

function readMessage(line: string): ChildMessage | undefined {
  try {
    const result = childMessage.safeParse(JSON.parse(line));
    return result.success ? result.data : undefined;
  } catch {
    return undefined; // no JSON: the caller says so
  }
}

function endSentence({ code, signal, stderr }: PythonEnd): string {
  const said = stderr.trim().split('\n').slice(-3).join(' | ');
  return `${signal ? `was ended by ${signal}` : `ended with code ${code}`} before its recipe was over: ${said || 'it said nothing'}`;
}
