import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
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
