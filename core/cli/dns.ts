import type { Command } from 'commander';
import { type DnsView, dnsView } from '../model/dns.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

/** `cerebro dns list|check [NAME]`. */
export function dns(program: Command, context: CliContext): void {
  const group = program.command('dns').description('the DNS names of copies');
  clusterCommand(group.command('list'))
    .description('every name, what it answers, and how it stands; or those of a basename or a job')
    .argument('[name]', 'a name, a basename or a job')
    .action(async (about: string | undefined, flags: ClusterFlags) => {
      const view = await clientFor(flags).get(`/api/v1/dns${query(about)}`, dnsView);
      if (flags.json) return printJson(context, view);
      context.out(listing(view));
    });
  clusterCommand(group.command('check'))
    .description('look at the names and at your own CNAMEs; ends with 1 when something is not as it should be')
    .argument('[name]', 'a name, a basename or a job; absent: all')
    .action(async (about: string | undefined, flags: ClusterFlags) => {
      const view = await clientFor(flags).sendJson('POST', `/api/v1/dns/check${query(about)}`, dnsView, {});
      if (flags.json) printJson(context, view);
      else context.out([listing(view), aliases(view)].filter((part) => part !== '').join('\n\n'));
      if (view.attention.length > 0 || view.aliases.some(({ state }) => state !== 'there')) context.exitWith(1);
    });
}

function query(about: string | undefined): string {
  return about === undefined ? '' : `?about=${encodeURIComponent(about)}`;
}

function listing(view: DnsView): string {
  const parts: string[] = [];
  if (view.names.length > 0) {
    const rows = view.names.map(({ name, state, values, copy, provider }) => [
      name,
      state,
      values.join(' ') || '-',
      copy ?? 'pool',
      provider,
    ]);
    parts.push(table(['NAME', 'STATE', 'ANSWERS', 'OF', 'PROVIDER'], rows));
  } else {
    parts.push('no names yet; give a job a dns_basename, like redis.startup.com');
  }
  parts.push(...view.attention);
  return parts.join('\n');
}

function aliases(view: DnsView): string {
  if (view.aliases.length === 0) return '';
  const rows = view.aliases.map(({ name, state, reason }) => [name, state, reason]);
  return table(['YOUR CNAME', 'STATE', 'WHAT IT DOES'], rows);
}
