import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest, UiPlugin } from '../../core/contracts/ui.ts';
import { decode, textOf } from './form-data.ts';
import { idleLimit, logLevel, removal } from './schema.ts';

const A_JOB = 'a job, or a list of jobs, as in a job file';
const A_NAME = 'the name of a job, like "Portal Server" or {"name": "Portal Server"}';
const A_LIMIT =
  'how many idle machines to keep, like 2, {"idle_limit": 2} or {"limit": 2, "zone": "aws-us-west-2a"}; -1 ends none';
const A_LEVEL = 'a level, like "DEBUG" or {"level": "DEBUG"}; there are DEBUG, INFO, WARNING and ERROR';

/** The endpoints of 2013, for programs that were written for them: forms with one field, `data`, that holds JSON. */
export class LegacyApi implements UiPlugin {
  readonly name = 'legacy-api';
  readonly templates = null;
  readonly pages: readonly Page[] = [
    command('/add_job', apply),
    // What was one endpoint for a job's first configuration and one for its later ones is one step here.
    command('/update_job', apply),
    command('/remove_job', async (request, api) => {
      const job = decode(request, removal, A_NAME);
      await api.removeJob(job, request.by);
      return { job };
    }),
    command(
      '/update_idle_limit',
      async (request, api) => {
        const { limit, zone } = decode(request, idleLimit, A_LIMIT);
        await api.setIdleLimit(limit, zone, request.by);
        return { limit, zone };
      },
      'admin',
    ),
    command(
      '/update_logging_level',
      async (request, api) => {
        const level = decode(request, logLevel, A_LEVEL);
        api.setLogLevel(level, request.by);
        return { level };
      },
      'admin',
    ),
    { method: 'GET', path: '/overview', audience: 'programs', answer: overview },
  ];

  async start(): Promise<void> {
    // The endpoints are there as long as the daemon's pages are; there is nothing of their own to begin.
  }

  async stop(): Promise<void> {
    // See start.
  }
}

function command(
  path: string,
  run: (request: PageRequest, api: ClusterApi) => Promise<Record<string, unknown>>,
  scope: Page['scope'] = 'operate',
): Page {
  return {
    method: 'POST',
    path,
    audience: 'programs',
    scope,
    answer: async (request, api) => ({ json: { status: 'ok', ...(await run(request, api)) } }),
  };
}

async function apply(request: PageRequest, api: ClusterApi): Promise<Record<string, unknown>> {
  // The text goes on as it came: a job file is more than JSON (comments, trailing commas), and messages name its lines.
  const { changes, plan } = await api.apply(textOf(request, A_JOB), { source: 'data', dryRun: false, by: request.by });
  return { changes, plan };
}

async function overview(_request: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  return { json: { status: 'ok', cluster: api.status(), jobs: api.jobs(), machines: api.machines() } };
}
