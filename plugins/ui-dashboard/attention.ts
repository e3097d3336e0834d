import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import { CerebroError } from '../../core/errors.ts';
import type { AlertView } from '../../core/model/alert.ts';

export interface AttentionItem {
  level: AlertView['level'];
  sentence: string;
  job?: string | undefined;
  machine?: string | undefined;
  copy?: string | undefined;
  /** ISO; null: how long it has been so is not known. */
  since: string | null;
}

/** Alerts first, then what else keeps Cerebro from doing what was asked. A sentence that is in both is told once. */
export function attentionOf(api: Pick<ClusterApi, 'alerts'>, sentences: readonly string[]): AttentionItem[] {
  const alerts = api.alerts().filter(({ resolvedAt }) => resolvedAt === null);
  const rank = (alert: AlertView): number => (alert.level === 'error' ? 0 : 1);
  const told = new Set(alerts.map(({ sentence }) => sentence));
  return [
    ...alerts
      .sort((a, b) => rank(a) - rank(b))
      .map(({ level, sentence, job, machine, copy, since }) => ({ level, sentence, job, machine, copy, since })),
    ...[...new Set(sentences)]
      .filter((sentence) => !told.has(sentence))
      .map((sentence) => ({ level: 'warn' as const, sentence, since: null })),
  ];
}

/**
 * The same, with the copy or the machine that a plain sentence begins with ("web.3: …", "local-a-1 is lost: …") as what it is about. Each is
 * looked up, so this is for what is shown.
 */
export function withLinks<Shown extends { items: AttentionItem[] }>(
  shown: Shown,
  api: Pick<ClusterApi, 'copy' | 'machine'>,
): Shown {
  return { ...shown, items: shown.items.map((item) => ({ ...item, ...aboutOf(item, api) })) };
}

function aboutOf(item: AttentionItem, api: Pick<ClusterApi, 'copy' | 'machine'>): Partial<AttentionItem> {
  if (item.job ?? item.machine ?? item.copy) return {};
  const name = /^([^\s:]+)(?:: | is )/.exec(item.sentence)?.[1];
  if (name === undefined) return {};
  if (isThere(() => api.copy(name))) return { copy: name };
  return isThere(() => api.machine(name)) ? { machine: name } : {};
}

function isThere(look: () => unknown): boolean {
  try {
    look();
    return true;
  } catch (error) {
    if (error instanceof CerebroError && error.code === 'not_found') return false;
    throw error;
  }
}
