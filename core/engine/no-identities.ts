import type { MachineIdentities } from '../contracts/identity-issuer.ts';
import { CerebroError } from '../errors.ts';

/** What a plugin has for `identities` where there is no cluster sitter. */
export const noIdentities: MachineIdentities = { issue: refuse, greet: refuse };

async function refuse(): Promise<never> {
  throw new CerebroError('unsupported', 'only a cluster sitter has to do with the certificates of machines');
}
