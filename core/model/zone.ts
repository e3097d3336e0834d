import { z } from 'zod';

/** A zone is `PROVIDER-ZONE`: `aws-us-west-2a`, `local-a`, `ssh-rack1`. */
export const zoneName = z
  .string()
  .regex(/^[a-z][a-z0-9]*-[a-z0-9][a-z0-9-]*$/, 'a zone is PROVIDER-ZONE in lower case, like local-a or aws-us-west-2a')
  .max(60);
export type ZoneName = z.infer<typeof zoneName>;

/** `aws-us-west-2a` -> `aws`: the provider that serves the zone. */
export function providerOf(zone: ZoneName): string {
  return zone.slice(0, zone.indexOf('-'));
}
