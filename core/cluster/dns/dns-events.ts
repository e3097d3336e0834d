import type { FoldNews, Found } from '../../decide/dns/dns-fold.ts';
import type { DnsPlace, DnsRecord } from '../../model/dns.ts';
import type { NewEvent } from '../../model/event.ts';

/** What the timeline says of names. */

export function changedEvent(sent: DnsRecord): NewEvent {
  const message =
    sent.values.length === 0
      ? `${sent.name} is taken out of DNS: ${sent.reason}`
      : `${sent.name} answers with ${listed(sent.values)}: ${sent.reason}`;
  return { level: 'info', kind: 'dns-changed', message, ...about(sent) };
}

export function foundEvent(record: DnsRecord, news: NonNullable<FoldNews>, found: Found): NewEvent {
  const there = found.values === null ? 'nothing' : listed(found.values);
  switch (news) {
    case 'foreign':
      return {
        level: 'warn',
        kind: 'dns-foreign',
        message: `${record.name} is somebody else's (${found.marker === 'theirs' ? 'the mark beside it is not ours' : there}) and is left alone; remove it, and the next check takes the name`,
        ...about(record),
      };
    case 'cleared':
      return {
        level: 'info',
        kind: 'dns-cleared',
        message: `${record.name} is not somebody else's any more`,
        ...about(record),
      };
    case 'drift':
      return {
        level: 'warn',
        kind: 'dns-drift',
        message: `somebody changed ${record.name}: ${there} stands there; it is mended`,
        ...about(record),
      };
  }
}

export function troubleEvent(held: readonly DnsRecord[], place: DnsPlace, sentence: string): NewEvent {
  const [first] = held;
  const names = held.length === 1 ? (first?.name ?? '') : `${held.length} names, ${first?.name} among them,`;
  return {
    level: 'warn',
    kind: 'dns-trouble',
    message: `${names} cannot be changed at ${place.provider} now, it is tried again: ${sentence}`,
    ...(first && held.length === 1 && about(first)),
  };
}

function listed(values: readonly string[]): string {
  const shown = values.slice(0, 8).join(', ');
  return values.length > 8 ? `${shown} and ${values.length - 8} more` : shown;
}

function about(record: DnsRecord): Pick<NewEvent, 'job' | 'copy'> {
  return { job: record.job, ...(record.copy !== null && { copy: record.copy }) };
}
