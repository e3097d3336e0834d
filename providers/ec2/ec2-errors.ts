import type { NoCapacity } from '../../core/contracts/machine-provider.ts';
import { CerebroError, type ErrorCode, messageOf, systemCode } from '../../core/errors.ts';

/** What was being done when EC2 refused; its parts go into the sentence. */
export interface Doing {
  /** `ec2:RunInstances` */
  action: string;
  region: string;
  zone?: string;
  /** The size that was ordered, by our name for it. */
  type?: string;
}

const SOLD_OUT = new Set([
  'InsufficientInstanceCapacity',
  'InsufficientHostCapacity',
  'InsufficientReservedInstanceCapacity',
  'InsufficientCapacityOnHost',
  'InsufficientFreeAddressesInSubnet',
  'SpotMaxPriceTooLow',
]);
const QUOTA = new Set([
  'InstanceLimitExceeded',
  'VcpuLimitExceeded',
  'MaxSpotInstanceCountExceeded',
  'VolumeLimitExceeded',
]);
const CREDENTIALS = new Set([
  'AuthFailure',
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'UnrecognizedClientException',
  'MissingAuthenticationToken',
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'CredentialsProviderError',
]);
const RIGHTS = new Set([
  'UnauthorizedOperation',
  'AccessDenied',
  'AccessDeniedException',
  'OptInRequired',
  'Blocked',
  'PendingVerification',
]);
const THROTTLED = new Set([
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
  'RequestThrottled',
  'SlowDown',
  'EC2ThrottledException',
]);
const NO_HOST = new Set(['ENOTFOUND', 'EAI_AGAIN']);

/** EC2's name for what went wrong, or the SDK's; empty for what is neither's. */
export function codeOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

export function isThrottling(error: unknown): boolean {
  return THROTTLED.has(codeOf(error));
}

/** EC2 denies an instance that it has only just made, or has forgotten. */
export function isUnknownInstance(error: unknown): boolean {
  return codeOf(error) === 'InvalidInstanceID.NotFound';
}

/**
 * Whether a call that failed can have had its effect all the same. A refusal says no only where no earlier try of the same call can
 * have come through; where EC2 looks for the client token first, as for capacity, it speaks of all of them.
 */
export function mayHaveActed(error: unknown): boolean {
  const code = codeOf(error);
  if (SOLD_OUT.has(code) || QUOTA.has(code)) return false;
  const { status, attempts } = metadataOf(error);
  if (code === 'CredentialsProviderError') return false; // nothing was sent
  return status === undefined || status >= 500 || attempts > 1 || isThrottling(error);
}

/** The error as a sentence for people: what, where, and what to do. Nothing of a request is in it. */
export function explain(error: unknown, doing: Doing): CerebroError {
  if (error instanceof CerebroError) return error;
  const code = codeOf(error);
  const { region, action } = doing;
  const say = (kind: ErrorCode, sentence: string, details?: NoCapacity): CerebroError =>
    new CerebroError(kind, sentence, { cause: error, ...(details && { details }) });
  const capacity = (why: NoCapacity['why'], sentence: string): CerebroError =>
    say('no_capacity', sentence, { zone: doing.zone ?? region, type: doing.type ?? '?', why });
  const size = `${doing.type ?? 'this size'} in ${doing.zone ?? region}`;

  if (SOLD_OUT.has(code)) return capacity('sold_out', `EC2 has no ${size} just now (${code})`);
  if (QUOTA.has(code))
    return capacity(
      'quota',
      `the account may not have another ${size} (${code}): ask Amazon for a higher quota, or list other instance types`,
    );
  if (code === 'Unsupported' && doing.type !== undefined)
    return capacity('not_offered', `EC2 does not sell ${size}: ${brief(error)}`);
  if (CREDENTIALS.has(code)) return say('invalid', credentialsSentence(error, code, region));
  if (RIGHTS.has(code))
    return say(
      'forbidden',
      `${action} is not allowed in ${region} (${code}); "cerebro doctor --provider ec2" prints the rights that are needed`,
    );
  if (THROTTLED.has(code))
    return say('unavailable', `EC2 in ${region} is asked too much (${code}); it is asked again later`);
  const network = networkSentence(error, doing);
  if (network) return say(network.code, network.sentence);
  return (
    settingsError(error, code, doing, say) ??
    say('unavailable', `${action} failed in ${region}: ${code}: ${brief(error)}`)
  );
}

function credentialsSentence(error: unknown, code: string, region: string): string {
  if (code === 'CredentialsProviderError')
    return 'no credentials for EC2 were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, give this host a role, or name a profile in the settings';
  if (/scoped to a valid region/i.test(messageOf(error)))
    return `EC2 knows no region "${region}", or the account has not opted in to it`;
  if (code === 'RequestExpired')
    return `EC2 in ${region} finds our requests too old or too new: set the clock of this host`;
  if (code.startsWith('ExpiredToken')) return `the credentials for EC2 have expired (${code}): renew them`;
  return `EC2 in ${region} refuses our credentials (${code}): check the access key, its secret and the clock of this host`;
}

function networkSentence(error: unknown, { action, region }: Doing): { code: ErrorCode; sentence: string } | undefined {
  const code = systemCode(error) ?? '';
  if (NO_HOST.has(code))
    return {
      code: 'unavailable',
      sentence: `the host of EC2 in "${region}" is not found (${code}): is that a region? Or this host has no DNS`,
    };
  const { status } = metadataOf(error);
  // The SDK calls a broken connection a TimeoutError too.
  if (/^E[A-Z]+$/.test(code) && code !== 'ETIMEDOUT')
    return { code: 'unavailable', sentence: `EC2 in ${region} cannot be reached for ${action} (${code})` };
  if (['TimeoutError', 'AbortError', 'RequestTimeout'].includes(codeOf(error)))
    return { code: 'timeout', sentence: `EC2 in ${region} did not answer ${action} in time` };
  if (status !== undefined && status >= 500)
    return {
      code: 'unavailable',
      sentence: `EC2 in ${region} has trouble of its own with ${action} (${codeOf(error)}, ${status})`,
    };
  return undefined;
}

/** What is wrong with the settings, by EC2's code for it. */
function settingsError(
  error: unknown,
  code: string,
  { region, action }: Doing,
  say: (kind: ErrorCode, sentence: string) => CerebroError,
): CerebroError | undefined {
  const known: [prefix: string, key: string, advice: string][] = [
    ['InvalidAMIID', 'image', `name an image of ${region}`],
    [
      'InvalidKeyPair',
      'key_pair',
      `name a key pair of ${region}, or none: the keys of "ssh" are put on the machines anyway`,
    ],
    ['InvalidSubnet', 'subnet', 'name a subnet of the zone'],
    ['InvalidGroup', 'security_groups', 'name groups of the VPC that the subnet is in'],
    ['InvalidSecurityGroupID', 'security_groups', 'name groups of the VPC that the subnet is in'],
    ['InvalidInstanceType', 'instance_types', `name types that ${region} has`],
    ['InvalidParameterValue', 'the settings of provider-ec2', 'see what EC2 says'],
    ['InvalidParameterCombination', 'the settings of provider-ec2', 'see what EC2 says'],
    ['InvalidBlockDeviceMapping', 'volume', 'make it as large as the image at least'],
  ];
  const found = known.find(([prefix]) => code.startsWith(prefix));
  if (!found) return undefined;
  const [, key, advice] = found;
  return say('invalid', `${key}: EC2 in ${region} refuses ${action}: ${brief(error)} (${code}); ${advice}`);
}

function metadataOf(error: unknown): { status: number | undefined; attempts: number } {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return { status: undefined, attempts: 1 };
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null) return { status: undefined, attempts: 1 };
  const status =
    'httpStatusCode' in metadata && typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
  const attempts = 'attempts' in metadata && typeof metadata.attempts === 'number' ? metadata.attempts : 1;
  return { status, attempts };
}

function brief(error: unknown): string {
  return messageOf(error).replace(/\s+/g, ' ').slice(0, 300);
}
