import { readFileSync } from 'node:fs';
import { definePlugin } from '../../core/define-plugin.ts';
import { CerebroError } from '../../core/errors.ts';
import { Ec2Provider } from './ec2-provider.ts';
import { parsePrices } from './price-table.ts';
import { publicKeysOf } from './public-keys.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'provider-ec2',
  point: 'machine-provider',
  config,
  needs: ['clock', 'logger', 'dataDir'],
  create: (services, options) =>
    new Ec2Provider(
      {
        ...services,
        prices: () => parsePrices(JSON.parse(readFileSync(new URL('./prices.json', import.meta.url), 'utf8'))),
        publicKeys: publicKeysOf,
        connect: async () => {
          throw new CerebroError('unsupported', 'there is no SSH yet');
        },
        prepare: null,
      },
      options,
    ),
});
