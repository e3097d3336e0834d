import type { IdentityIssuer } from '../contracts/identity-issuer.ts';
import { CerebroError } from '../errors.ts';

/** What a plugin has for `identities` where there is no cluster sitter. */
export const noIdentities: IdentityIssuer = {
  issue: async () => {
    throw new CerebroError('unsupported', 'only a cluster sitter issues certificates');
  },
};
