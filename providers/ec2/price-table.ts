import { z } from 'zod';
import { CerebroError } from '../../core/errors.ts';

/** `prices.json`: prices of families at size `large`, how sizes relate to it, and how dear each region is. */
export const priceTable = z.object({
  as_of: z.string(),
  large: z.record(z.string(), z.number().positive()),
  size: z.record(z.string(), z.number().positive()),
  region: z.record(z.string(), z.number().positive()),
  other_region: z.number().positive(),
});
export type PriceTable = z.infer<typeof priceTable>;

/**
 * USD for an hour on demand; undefined where neither the settings nor the table know. What the settings say for the region comes
 * first, then what they say for the type, then the table.
 */
export function priceOf(
  type: string,
  region: string,
  table: PriceTable,
  own: Readonly<Record<string, number>>,
): number | undefined {
  const given = own[`${region}/${type}`] ?? own[type];
  if (given !== undefined) return given;
  const [family = '', size = ''] = type.split('.');
  const [large, share] = [table.large[family], table.size[size]];
  if (large === undefined || share === undefined) return undefined;
  return round(large * share * (table.region[region] ?? table.other_region));
}

export function round(price: number): number {
  return Math.round(price * 1e5) / 1e5;
}

/** Reads the shipped table. Throws `internal` when the package is damaged. */
export function parsePrices(json: unknown): PriceTable {
  const result = priceTable.safeParse(json);
  if (!result.success)
    throw new CerebroError('internal', `providers/ec2/prices.json is damaged: ${result.error.message}`);
  return result.data;
}
