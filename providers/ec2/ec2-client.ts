import { EC2Client } from '@aws-sdk/client-ec2';
import type { Config } from './schema.ts';

/** The SDK's client for a region. Credentials and TLS come from the settings, or else from where the SDK looks for them. */
export function ec2Client(region: string, config: Config): EC2Client {
  const { api, credentials, profile, endpoint } = config;
  return new EC2Client({
    region,
    retryMode: 'standard',
    maxAttempts: api.attempts,
    requestHandler: {
      requestTimeout: api.timeout * 1000,
      connectionTimeout: Math.min(5, api.timeout) * 1000,
      throwOnRequestTimeout: true,
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ...(credentials && {
      credentials: {
        accessKeyId: credentials.access_key_id,
        secretAccessKey: credentials.secret_access_key,
        ...(credentials.session_token !== undefined && { sessionToken: credentials.session_token }),
      },
    }),
  });
}

/** Between two tries the SDK sleeps without looking at the signal; who waits here does not. */
export async function orAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
