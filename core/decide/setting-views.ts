import type { SettingOrigin, SettingOrigins, SettingView } from '../model/setting-view.ts';
import { type Settings, settings as schema } from '../model/settings.ts';

/** No setting is a secret today; one that is called like one is not shown, whoever adds it. */
const SECRET = /(^|_)(secret|token|password|passphrase|key)s?$/;
const NONE: SettingOrigins = { file: null, inFile: [], inFlags: [] };

/** What was changed while the daemon runs. */
export interface ChangedSettings {
  /** The idle limits that were set, by zone; `*`: each other zone. */
  idle: Readonly<Record<string, number>>;
  logLevel: string | null;
}

/** The settings in force, by name, each with where it came from. */
export function settingViews(
  settings: Settings,
  origins: SettingOrigins = NONE,
  changed: ChangedSettings = { idle: {}, logLevel: null },
): SettingView[] {
  const defaults: Readonly<Record<string, unknown>> = schema.parse({});
  const inForce: Readonly<Record<string, unknown>> = { ...settings, ...atRunTime(settings, changed) };
  const views = Object.keys(schema.shape).map((key): SettingView => {
    const secret = SECRET.test(key) && inForce[key] !== undefined;
    const origin = originOf(key, origins, changed);
    return {
      key,
      value: secret ? null : textOf(inForce[key]),
      secret,
      origin,
      file: origin === 'file' ? origins.file : null,
      default: textOf(defaults[key]),
    };
  });
  return views.sort((a, b) => a.key.localeCompare(b.key));
}

function originOf(key: string, { inFile, inFlags }: SettingOrigins, changed: ChangedSettings): SettingOrigin {
  if (key === 'max_idle_per_zone' && Object.keys(changed.idle).length > 0) return 'run time';
  if (key === 'log_level' && changed.logLevel !== null) return 'run time';
  if (inFlags.includes(key)) return 'flag';
  return inFile.includes(key) ? 'file' : 'default';
}

function atRunTime(settings: Settings, { idle, logLevel }: ChangedSettings): Record<string, unknown> {
  const zones = Object.keys(idle);
  const limits = zones.length === 0 ? settings.max_idle_per_zone : { '*': settings.max_idle_per_zone, ...idle };
  // One limit for all is shown as it would be written.
  const all = typeof limits === 'object' && Object.keys(limits).length === 1 ? limits['*'] : limits;
  return { max_idle_per_zone: all, ...(logLevel !== null && { log_level: logLevel }) };
}

function textOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
