import { z } from 'zod';

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

/** The keys that may stand at a path of a document, by its schema; none where it is not known. */
export function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let here: JsonSchema | undefined = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  for (const step of path) {
    const at: JsonSchema | undefined = here?.anyOf?.find(({ properties }) => properties) ?? here?.items ?? here;
    here = typeof step === 'number' ? at : (at?.properties?.[String(step)] ?? at?.additionalProperties);
  }
  return Object.keys((here?.items ?? here)?.properties ?? {});
}
