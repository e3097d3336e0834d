import { hostname } from 'node:os';
import type { Settings } from '../model/settings.ts';

/** Where other cluster sitters reach this one: as the settings say, or else where it listens, by this host's name where that is every address. */
export function advertisedUrl({ advertised_url: given }: Pick<Settings, 'advertised_url'>, listening: string): string {
  if (given !== undefined) return given.replace(/\/+$/, '');
  return listening.replace(/^(https?:\/\/)(?:0\.0\.0\.0|\[::\])(?=:)/, `$1${hostname()}`);
}
