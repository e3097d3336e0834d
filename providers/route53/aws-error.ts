import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';

const CREDENTIALS = new Set([
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'MissingAuthenticationToken',
  'ExpiredToken',
  'ExpiredTokenException',
  'CredentialsProviderError',
]);
const RIGHTS = new Set(['AccessDenied', 'AccessDeniedException', 'NotAuthorizedException', 'OptInRequired']);
const THROTTLED = new Set(['Throttling', 'ThrottlingException', 'PriorRequestNotComplete', 'RequestLimitExceeded']);
const INVALID = new Set([
  'InvalidInput',
  'InvalidArgument',
  'InvalidDomainName',
  'NoSuchHostedZone',
  'ValidationError',
]);

/** Whether Route 53 found a change at odds with what is there, and did nothing of the batch. */
export function isInvalidBatch(error: unknown): boolean {
  return error instanceof Error && error.name === 'InvalidChangeBatch';
}

/** The error as a sentence: what was done (`action`, e.g. "route53:GetChange"), what is wrong, what helps. Nothing of a request is in it. */
export function explainAws(error: unknown, action: string): CerebroError {
  if (error instanceof CerebroError) return error;
  const name = error instanceof Error ? error.name : '';
  const said = messageOf(error).replace(/\s+/g, ' ').slice(0, 300);
  const say = (code: ConstructorParameters<typeof CerebroError>[0], sentence: string): CerebroError =>
    new CerebroError(code, sentence, { cause: error });
  if (name === 'CredentialsProviderError')
    return say(
      'forbidden',
      'no AWS credentials were found for Route 53: set AWS_PROFILE or AWS_ACCESS_KEY_ID, give this host a role, or name a profile in plugins.json',
    );
  if (name.startsWith('ExpiredToken'))
    return say('forbidden', `the AWS credentials for Route 53 have expired (${name}): renew them`);
  if (CREDENTIALS.has(name))
    return say(
      'forbidden',
      `Route 53 refuses the AWS credentials (${name}): check the access key, its secret and the clock of this host`,
    );
  if (RIGHTS.has(name))
    return say(
      'forbidden',
      `the AWS credentials may not do ${action} (${name}): docs/dns.md has the policy that is needed`,
    );
  if (THROTTLED.has(name)) return say('unavailable', `Route 53 is asked too much (${name}); it is asked again later`);
  if (name === 'InvalidChangeBatch' || INVALID.has(name))
    return say('invalid', `Route 53 does not take ${action}: ${said} (${name})`);
  if (name === 'AbortError' || name === 'TimeoutError')
    return say('unavailable', `Route 53 did not answer ${action} in time`);
  const system = systemCode(error);
  if (system !== undefined) return say('unavailable', `Route 53 cannot be reached for ${action} (${system})`);
  return say('unavailable', `Route 53 failed at ${action}: ${name}: ${said}`);
}
