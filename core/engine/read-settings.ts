import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { didYouMean } from '../decide/words/nearest-names.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { SettingOrigins } from '../model/setting-view.ts';
import { type Settings, settings } from '../model/settings.ts';

/** The settings: defaults, then the file, then the command line. Throws `invalid` with file, key, what was expected and the nearest key. */
export function readSettings(file: string | undefined, flags: Partial<z.input<typeof settings>>): Settings {
  return settingsWithOrigins(file, flags).settings;
}

/** The same, with where each value came from. */
export function settingsWithOrigins(
  file: string | undefined,
  flags: Partial<z.input<typeof settings>>,
): { settings: Settings; origins: SettingOrigins } {
  const fromFile = file === undefined ? {} : readFile(file);
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const result = settings.safeParse({ ...fromFile, ...given });
  if (result.success) {
    const origins = { file: file ?? null, inFile: Object.keys(fromFile), inFlags: Object.keys(given) };
    return { settings: result.data, origins };
  }
  const known = Object.keys(settings.shape);
  const where = file ?? 'the command line';
  const problems = result.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${where}: ${key}: unknown setting${didYouMean(key, known)}`);
    return [`${where}: ${issue.path.join('.')}: ${issue.message}`];
  });
  throw new CerebroError('invalid', problems.join('\n'));
}

function readFile(file: string): Record<string, unknown> {
  try {
    const document: unknown = parse(readFileSync(file, 'utf8'));
    return z.record(z.string(), z.unknown()).parse(document ?? {});
  } catch (error) {
    throw new CerebroError('invalid', `the settings file ${file} cannot be read: ${messageOf(error)}`);
  }
}
