import { CerebroError } from '../../core/errors.ts';

/** What a `Remote` throws where there is no contact at all; `timeout` and `invalid` may also be the command's. */
const NO_CONTACT = new Set(['unavailable', 'unauthorized', 'forbidden']);

/** Whether a failure says something about the way to a machine, and nothing about what was to be done there. */
export function lostContact(error: unknown): boolean {
  return error instanceof CerebroError && NO_CONTACT.has(error.code);
}
