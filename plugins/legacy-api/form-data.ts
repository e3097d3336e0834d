import type { z } from 'zod';
import type { PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';

/** What the field `data` holds. Throws `invalid` when it is missing or empty. */
export function textOf(request: PageRequest, expected: string): string {
  const text = request.form.get('data');
  if (text === null || text.trim() === '')
    throw new CerebroError(
      'invalid',
      `data: expected ${expected}, in JSON, as a field of a form (application/x-www-form-urlencoded); nothing is there`,
    );
  return text;
}

/** The JSON in the field `data`, checked. Throws `invalid` with what was expected and what is there. */
export function decode<T extends z.ZodType>(request: PageRequest, schema: T, expected: string): z.infer<T> {
  const text = textOf(request, expected);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CerebroError('invalid', `data: expected ${expected}; ${short(text)} is not JSON`, { cause: error });
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new CerebroError('invalid', `data: expected ${expected}; got ${short(text)}`);
  return result.data;
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
