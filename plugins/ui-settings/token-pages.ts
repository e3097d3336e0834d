import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { type MadeApiToken, newApiToken, tokenScope, tokenScopeWords } from '../../core/model/api-token.ts';

const PATH = '/settings/tokens';
const MAKING: TokenForm = { name: '', scope: 'operate', days: '', problem: null };
const STATUS: Record<string, number> = { invalid: 400, conflict: 409 };

interface TokenForm {
  name: string;
  scope: string;
  days: string;
  problem: string | null;
}

export const tokenPages: readonly Page[] = [
  {
    method: 'GET',
    path: PATH,
    scope: 'admin',
    answer: async (_request, api) => page(api, { form: MAKING, made: null, status: 200 }),
  },
  { method: 'POST', path: PATH, scope: 'admin', answer: create },
  {
    method: 'GET',
    path: `${PATH}/:id/revoke`,
    scope: 'admin',
    answer: async ({ params }, api) => {
      const token = api.tokens.list().find(({ id }) => id === params.id);
      if (!token) throw new CerebroError('not_found', `there is no token "${params.id}"; it may have been revoked`);
      return { template: 'token-revoke.njk', title: `Revoke ${token.name}?`, data: { token, words: tokenScopeWords } };
    },
  },
  {
    method: 'POST',
    path: `${PATH}/:id/revoke`,
    scope: 'admin',
    answer: async ({ params, by }, api) => {
      const { name } = await api.tokens.revoke(params.id ?? '', by);
      return { redirect: PATH, notice: `The token “${name}” is revoked.` };
    },
  },
];

/** The answer to the form shows the token: an address that could be asked for again must not. */
async function create({ form, by }: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  const given = { name: form.get('name') ?? '', scope: form.get('scope') ?? '', days: form.get('days')?.trim() ?? '' };
  const days = given.days === '' ? null : Number(given.days);
  const wanted = newApiToken.safeParse({ ...given, days });
  if (!wanted.success) {
    const problem = wanted.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    return page(api, { form: { ...given, problem }, made: null, status: 400 });
  }
  try {
    return page(api, { form: MAKING, made: await api.tokens.create(wanted.data, by), status: 200 });
  } catch (error) {
    if (!(error instanceof CerebroError) || error.code === 'internal') throw error;
    return page(api, { form: { ...given, problem: error.message }, made: null, status: STATUS[error.code] ?? 503 });
  }
}

function page(
  api: ClusterApi,
  { form, made, status }: { form: TokenForm; made: MadeApiToken | null; status: number },
): PageAnswer {
  return {
    template: 'tokens.njk',
    title: 'Tokens',
    status,
    data: {
      tokens: api.tokens.list(),
      scopes: tokenScope.options.map((scope) => ({ scope, words: tokenScopeWords[scope] })),
      words: tokenScopeWords,
      form,
      made,
      // A live update would take the new token away from under its reader.
      live: made === null && form.problem === null,
    },
  };
}
