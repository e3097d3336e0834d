import { isWithin } from '../../contracts/dns-batch.ts';
import { CerebroError } from '../../errors.ts';
import type { DnsNameView, DnsView } from '../../model/dns.ts';
import { didYouMean } from '../words/nearest-names.ts';

/**
 * What a view says about one name, about everything at and below a basename, or about the names of a job. Throws `not_found` where it
 * says nothing.
 */
export function dnsAbout(view: DnsView, about: string): DnsView {
  const wanted = about.toLowerCase().replace(/\.$/, '');
  const names = view.names.filter(({ name, job }) => job === about || isWithin(name, wanted));
  const aliases = view.aliases.filter(({ name, job }) => job === about || name === wanted);
  if (names.length === 0 && aliases.length === 0) {
    const known = [...view.names, ...view.aliases].flatMap(({ name, job }) => [name, job]);
    throw new CerebroError(
      'not_found',
      `there is no DNS name, basename or job "${about}"${didYouMean(about, new Set(known))}`,
    );
  }
  const jobs = new Set([...names, ...aliases].map(({ job }) => job));
  const ofJobs = view.attention.filter((sentence) => [...jobs].some((job) => sentence.startsWith(`"${job}": `)));
  return { ...view, names, aliases, attention: [...ofJobs, ...names.flatMap((name) => troubleOf(name) ?? [])] };
}

function troubleOf({ name, state, lastError, owner, values, reason }: DnsNameView): string | null {
  if (state === 'foreign') return `${name} is ${owner}'s (${values.join(', ') || 'only a mark'}): ${reason}`;
  if (state === 'failing') return `${name} is not as wanted yet: ${lastError ?? 'it is tried again'}`;
  return state === 'pending' || state === 'removing' ? `${name} is on its way: ${reason}` : null;
}
