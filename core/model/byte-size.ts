import { z } from 'zod';

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** An amount of bytes: a number, or text with a unit of 1024s ("64MB", "1.5 GB", "512k"). */
export const byteSize = z
  .union([z.number(), z.string()], 'expected bytes, like 67108864 or "64MB"')
  .transform((size, ctx) => {
    if (typeof size === 'number') {
      if (Number.isFinite(size) && size >= 0) return Math.round(size);
    } else {
      const [, amount, unit = ''] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(size) ?? [];
      const factor = UNITS[unit.toUpperCase()];
      if (amount !== undefined && factor !== undefined) return Math.round(Number(amount) * factor);
    }
    ctx.addIssue({ code: 'custom', message: `expected bytes, like 67108864 or "64MB"; got ${JSON.stringify(size)}` });
    return z.NEVER;
  });
