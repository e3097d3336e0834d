import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Ec2Fault } from './ec2-fault.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const CLOCK_SKEW_MS = 15 * 60 * 1000;
const MUST_BE_SIGNED = ['content-type', 'host', 'x-amz-date'];

export interface SignedRequest {
  method: string;
  /** Path and query as they came. */
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Checks a request as Signature Version 4 has it. Gives the region that it is meant for; throws what EC2 would answer. */
export function verifySignature(
  request: SignedRequest,
  secretOf: (accessKeyId: string) => string | undefined,
  service = 'ec2',
): { region: string; accessKeyId: string } {
  const header = request.headers.authorization;
  if (header === undefined)
    throw new Ec2Fault('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(header);
  const [, credential = '', signedHeaders = '', signature = ''] = match ?? [];
  const [accessKeyId = '', day = '', region = '', forService = '', end = '', ...more] = credential.split('/');
  if (!match || end !== 'aws4_request' || more.length > 0)
    throw new Ec2Fault('IncompleteSignature', 'Authorization header cannot be read', 400);
  const secret = secretOf(accessKeyId);
  if (secret === undefined)
    throw new Ec2Fault('AuthFailure', 'AWS was not able to validate the provided access credentials', 401);
  if (forService !== service)
    throw new Ec2Fault('AuthFailure', `Credential should be scoped to correct service: '${service}'`, 401);

  const names = signedHeaders.split(';');
  const sorted = [...names].sort();
  if (names.join() !== sorted.join()) throw new Ec2Fault('IncompleteSignature', 'SignedHeaders are not sorted', 400);
  const missing = MUST_BE_SIGNED.find((name) => !names.includes(name));
  if (missing !== undefined) throw new Ec2Fault('IncompleteSignature', `${missing} is not signed`, 400);

  const time = String(request.headers['x-amz-date'] ?? '');
  checkTime(time, day);
  const payload = sha256(request.body);
  const declared = request.headers['x-amz-content-sha256'];
  if (declared !== undefined && declared !== payload)
    throw new Ec2Fault('SignatureDoesNotMatch', 'x-amz-content-sha256 is not the hash of the body', 403);

  const [path = '/', query = ''] = request.url.split('?');
  const canonical = [
    request.method,
    path,
    query.split('&').sort().join('&'),
    ...names.map(
      (name) =>
        `${name}:${String(request.headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    signedHeaders,
    payload,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = [ALGORITHM, time, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<Buffer>(
    (parent, part) => createHmac('sha256', parent).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  );
  const expected = createHmac('sha256', key).update(toSign).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex')))
    throw new Ec2Fault(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided',
      403,
    );
  return { region, accessKeyId };
}

function checkTime(time: string, day: string): void {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time);
  if (!parts || !time.startsWith(day)) throw new Ec2Fault('IncompleteSignature', 'X-Amz-Date cannot be read', 400);
  const [, year, month, date, hour, minute, second] = parts.map(Number);
  const at = Date.UTC(year ?? 0, (month ?? 1) - 1, date, hour, minute, second);
  if (Math.abs(Date.now() - at) > CLOCK_SKEW_MS) throw new Ec2Fault('RequestExpired', 'Request has expired', 400);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
