import { CerebroError } from '../../errors.ts';
import type { SecretRef } from '../../model/secret.ts';
import type { TaskDefinition } from '../../model/task.ts';

/** The variables that a task defines, with its secrets in their places. Throws `invalid` for a secret that it was not given. */
export function taskVariables({
  configuration,
  secrets = {},
}: Pick<TaskDefinition, 'configuration' | 'secrets'>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(configuration.env)) {
    const text = typeof value === 'string' ? value : secrets[value.secret];
    if (text === undefined)
      throw new CerebroError(
        'invalid',
        `env.${name} names a secret, and only a cluster sitter gives those: on a machine of its own, say the text itself`,
      );
    variables[name] = text;
  }
  return variables;
}

/** The names of the secrets that an environment takes, each once. */
export function secretsIn(env: Readonly<Record<string, string | SecretRef>>): string[] {
  const names = Object.values(env).flatMap((value) => (typeof value === 'string' ? [] : [value.secret]));
  return [...new Set(names)].sort();
}
