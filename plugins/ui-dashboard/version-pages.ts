import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import type { JobVersion } from '../../core/model/job.ts';
import { planFor } from './confirm-page.ts';
import { nameOf, versionOf } from './job-questions.ts';
import { yamlOf } from './job-text.ts';
import { lineDiff } from './line-diff.ts';

export const versionPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/jobs/:name/versions/:version',
    answer: async (request, api) => versionPage(request, api),
  },
];

/** One version beside another (`?with=`, or else the one that is in force), and the way back to it with what that would do. */
async function versionPage(request: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  const name = nameOf(request);
  const job = api.job(name);
  const versions = api.versions(name);
  const version = found(versions, versionOf(request.params.version, api, name), name);
  const other = found(versions, versionOf(request.query.get('with'), api, name) ?? job.version, name);
  const canGoBack = version.version !== job.version && job.state === 'active';
  // How many copies there are is a thing of now, not of the version: going back leaves it as it is.
  const target = { ...version.spec, deployment_layout: job.record.spec.deployment_layout };
  return {
    template: 'version.njk',
    title: `${name}, version ${version.version}`,
    data: {
      job,
      version,
      other,
      versions,
      same: version.version === other.version,
      diff: lineDiff(yamlOf(other.spec), yamlOf(version.spec)),
      text: yamlOf(version.spec),
      canGoBack,
      plan: canGoBack ? await planFor({ text: yamlOf(target) }, api) : null,
    },
  };
}

function found(versions: readonly JobVersion[], wanted: number | null, name: string): JobVersion {
  const version = versions.find((each) => each.version === wanted);
  if (version) return version;
  throw new CerebroError('not_found', `version ${wanted} of "${name}" is not kept`);
}
