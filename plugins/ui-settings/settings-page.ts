import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { zoneName } from '../../core/model/zone.ts';

interface IdleForm {
  limit: string;
  zone: string;
  problem: string | null;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

export const settingsPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/settings',
    nav: { title: 'Settings', order: 40 },
    answer: async (_request, api) => settingsPage(api, { limit: '', zone: '', problem: null }, 200),
  },
  {
    method: 'POST',
    path: '/settings/idle-limit',
    scope: 'admin',
    answer: async ({ form, by }, api) => {
      const limit = form.get('limit')?.trim() ?? '';
      const zone = form.get('zone')?.trim() ?? '';
      const problem = idleProblem(limit, zone);
      if (problem !== null) return settingsPage(api, { limit, zone, problem }, 400);
      await api.setIdleLimit(Number(limit), zone === '' ? null : zone, by);
      return { redirect: '/settings', notice: `The idle limit of ${zone === '' ? 'each zone' : zone} was changed.` };
    },
  },
  {
    method: 'POST',
    path: '/settings/log-level',
    scope: 'admin',
    answer: async ({ form, by }, api) => {
      const level = LEVELS.find((one) => one === form.get('level'));
      if (!level) throw new CerebroError('invalid', `level: expected one of ${LEVELS.join(', ')}`);
      api.setLogLevel(level, by);
      return { redirect: '/settings', notice: `The log level is ${level} until the next start.` };
    },
  },
];

async function settingsPage(api: ClusterApi, form: IdleForm, status: number): Promise<PageAnswer> {
  const cluster = api.status();
  const settings = api.settings();
  return {
    template: 'settings.njk',
    title: 'Settings',
    status,
    data: {
      cluster,
      idle: Object.entries(cluster.maxIdlePerZone)
        .map(([zone, limit]) => ({ zone, limit }))
        .sort((a, b) => a.zone.localeCompare(b.zone)),
      zones: zonesOf(api),
      levels: LEVELS,
      level: levelNow(settings.find(({ key }) => key === 'log_level')?.value),
      // What somebody has set is what one comes to look for; the rest is as it always is.
      given: settings.filter(({ origin }) => origin !== 'default'),
      untouched: settings.filter(({ origin }) => origin === 'default'),
      form,
      live: form.problem === null,
    },
  };
}

/** The value is JSON, as it would stand in the settings file. */
function levelNow(json: string | null | undefined): string {
  return LEVELS.find((level) => JSON.stringify(level) === json) ?? 'info';
}

/** The zones that jobs or machines are in. */
function zonesOf(api: ClusterApi): string[] {
  const zones = new Set(api.machines().map((machine) => machine.zone));
  for (const job of api.jobs()) for (const zone of Object.keys(job.zones)) zones.add(zone);
  return [...zones].sort();
}

function idleProblem(limit: string, zone: string): string | null {
  if (!/^(-1|\d{1,6})$/.test(limit))
    return `The limit "${limit}" is not a whole number from 0 up, nor -1 for "end none".`;
  if (zone !== '' && !zoneName.safeParse(zone).success)
    return `"${zone}" is not a zone; a zone is PROVIDER-ZONE in lower case, like local-a.`;
  return null;
}
