import { CerebroError } from '../../core/errors.ts';
import type { DnsReply, DnsServer } from './dns-client.ts';
import { FUDGE_SECONDS } from './tsig.ts';

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
} as const;

/** Whether a prerequisite of an update did not hold. */
export function isStale(reply: DnsReply): boolean {
  const { rcode } = reply;
  return rcode === RCODE.YXDOMAIN || rcode === RCODE.YXRRSET || rcode === RCODE.NXRRSET || rcode === RCODE.NXDOMAIN;
}

/** The sentence for a reply that is a refusal: what was refused (`what`, e.g. "changes of startup.com"), by whom, and what helps. */
export function refusal(reply: DnsReply, what: string, server: DnsServer, nowMs: number): CerebroError {
  const who = `the DNS server ${server.host} port ${server.port}`;
  const key = `the TSIG key "${server.key.name}"`;
  // Knot says this of a key that it knows and that may not do this, too.
  if (reply.tsigError === 'BADKEY')
    return new CerebroError(
      'forbidden',
      `${who} does not accept ${key} with ${server.key.algorithm} for ${what}: name and algorithm must be the server's, and it must be allowed there (docs/dns.md says how)`,
    );
  if (reply.tsigError === 'BADSIG' || reply.tsigError === 'BADTRUNC')
    return new CerebroError(
      'forbidden',
      `${who} has another secret for ${key} (${reply.tsigError}): give Cerebro the key that the server has`,
    );
  if (reply.tsigError === 'BADTIME') {
    const apart = reply.serverTime === null ? '' : ` by ${Math.abs(Math.round(nowMs / 1000 - reply.serverTime))} s`;
    return new CerebroError(
      'forbidden',
      `the clocks of this host and of ${who} differ${apart}; signatures allow ${FUDGE_SECONDS} s: set them right`,
    );
  }
  switch (reply.rcode) {
    case RCODE.REFUSED:
      return new CerebroError(
        'forbidden',
        reply.signed
          ? `${who} refuses ${what} to ${key}: allow it there (docs/dns.md says how)`
          : `${who} refuses ${what} (REFUSED, not signed): it does not accept ${key}, or does not allow it that (docs/dns.md says how)`,
      );
    case RCODE.NOTAUTH:
      return new CerebroError(
        'forbidden',
        reply.signed
          ? `${who} is not in charge of the zone (NOTAUTH), so it refuses ${what}: name the zone's primary server in plugins.json`
          : `${who} refuses ${what} (NOTAUTH, not signed): it does not accept ${key}`,
      );
    case RCODE.NOTZONE:
      return new CerebroError('invalid', `${who} finds a name outside of the zone in ${what}`);
    case RCODE.SERVFAIL:
      return new CerebroError('unavailable', `${who} failed at ${what} (SERVFAIL): its own log says why`);
    case RCODE.NOTIMP:
    case RCODE.FORMERR:
      return new CerebroError(
        'invalid',
        `${who} does not take ${what} (${reply.rcode === RCODE.NOTIMP ? 'NOTIMP' : 'FORMERR'}): is dynamic update switched on there?`,
      );
    default:
      return new CerebroError('unavailable', `${who} did not do ${what}: it answered with code ${reply.rcode}`);
  }
}
