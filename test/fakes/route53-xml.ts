import type { HostedChange, HostedRecordSet, HostedZone } from './route53-zone.ts';

const NAMESPACE = 'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"';

export function zonesXml(zones: readonly HostedZone[], next: string | null): string {
  const each = zones.map(
    (zone) =>
      `<HostedZone><Id>/hostedzone/${zone.id}</Id><Name>${zone.name}</Name><CallerReference>x</CallerReference><Config><PrivateZone>${zone.isPrivate}</PrivateZone></Config></HostedZone>`,
  );
  const more =
    next === null
      ? '<IsTruncated>false</IsTruncated>'
      : `<IsTruncated>true</IsTruncated><NextMarker>${next}</NextMarker>`;
  return `<ListHostedZonesResponse ${NAMESPACE}><HostedZones>${each.join('')}</HostedZones>${more}<MaxItems>100</MaxItems></ListHostedZonesResponse>`;
}

export function recordSetsXml(sets: readonly HostedRecordSet[], next: HostedRecordSet | null): string {
  const each = sets.map((set) => {
    const values = set.values
      .map((value) => `<ResourceRecord><Value>${toXml(value)}</Value></ResourceRecord>`)
      .join('');
    return `<ResourceRecordSet><Name>${shown(set.name)}</Name><Type>${set.type}</Type>${
      set.identifier === null ? '' : `<SetIdentifier>${set.identifier}</SetIdentifier><Weight>1</Weight>`
    }${
      set.alias === null
        ? `<TTL>${set.ttl}</TTL><ResourceRecords>${values}</ResourceRecords>`
        : `<AliasTarget><HostedZoneId>ZALIAS</HostedZoneId><DNSName>${set.alias}</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>`
    }</ResourceRecordSet>`;
  });
  const more = next
    ? `<IsTruncated>true</IsTruncated><NextRecordName>${shown(next.name)}</NextRecordName><NextRecordType>${next.type}</NextRecordType>`
    : '<IsTruncated>false</IsTruncated>';
  return `<ListResourceRecordSetsResponse ${NAMESPACE}><ResourceRecordSets>${each.join('')}</ResourceRecordSets>${more}<MaxItems>300</MaxItems></ListResourceRecordSetsResponse>`;
}

export function changeXml(response: string, id: string, status: string): string {
  return `<${response} ${NAMESPACE}><ChangeInfo><Id>/change/${id}</Id><Status>${status}</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></${response}>`;
}

export function errorXml(code: string, message: string): string {
  return `<ErrorResponse ${NAMESPACE}><Error><Type>Sender</Type><Code>${code}</Code><Message>${toXml(message)}</Message></Error><RequestId>stand-in</RequestId></ErrorResponse>`;
}

/** The changes of a request, as the SDK writes them. */
export function changesIn(body: string): HostedChange[] {
  return all(body, 'Change').map((change) => {
    const set = one(change, 'ResourceRecordSet') ?? '';
    const ttl = one(set, 'TTL');
    return {
      action: one(change, 'Action') ?? '',
      set: {
        name: (one(set, 'Name') ?? '').toLowerCase(),
        type: one(set, 'Type') ?? '',
        ttl: ttl === null ? null : Number(ttl),
        values: all(set, 'ResourceRecord').map((record) => fromXml(one(record, 'Value') ?? '')),
        identifier: one(set, 'SetIdentifier'),
        alias: null,
      },
    };
  });
}

function all(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map((match) => match[1] ?? '');
}

function one(xml: string, tag: string): string | null {
  return all(xml, tag)[0] ?? null;
}

/** Characters of names that are not plain are in octal. */
function shown(name: string): string {
  return name.replace(/[^a-z0-9._-]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function toXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function fromXml(xml: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return xml.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (_, hex: string, decimal: string, name: string) => {
    if (hex) return String.fromCharCode(Number.parseInt(hex, 16));
    return decimal ? String.fromCharCode(Number(decimal)) : (named[name] ?? '');
  });
}
