/** What a number counts. `share`: 0 to 1 of the time. `rate`: bytes a second. */
export type Unit = 'cores' | 'bytes' | 'rate' | 'share' | 'count';

const BYTE_UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;
const STEP = 1024;

/** "0.42 cores", "412 MB", "1.2 MB/s", "12 %", "3". Of a null: "not known". */
export function amountText(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return 'not known';
  switch (unit) {
    case 'cores':
      return `${short(value)} ${value === 1 ? 'core' : 'cores'}`;
    case 'share':
      return `${short(value * 100)} %`;
    case 'count':
      return short(value);
    case 'bytes':
    case 'rate': {
      const { factor, name } = byteUnit(value);
      const text = `${short(value / factor)} ${name}`;
      return unit === 'rate' ? `${text}/s` : text;
    }
  }
}

/** The largest unit of which there is at least one. */
export function byteUnit(bytes: number): { factor: number; name: string } {
  let power = 0;
  while (power < BYTE_UNITS.length - 1 && Math.round(bytes / STEP ** power) >= STEP) power += 1;
  return { factor: STEP ** power, name: BYTE_UNITS[power] ?? 'bytes' };
}

/** Three digits at most, but never less than the whole number. */
function short(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
