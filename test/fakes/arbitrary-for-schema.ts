import fc, { type Arbitrary } from 'fast-check';

/** As much of JSON schema as zod writes. */
export interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  required?: string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
}

/** Text that has meant something somewhere. */
export const nastyText: Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '.',
    '..',
    '../..',
    '/etc/passwd',
    '../admin.token',
    'a/b',
    '%2e%2e%2f',
    '\u0000',
    'a\nb',
    '__proto__',
    'constructor',
    'x'.repeat(129),
    'x'.repeat(5000),
    '\ud800',
    '{{7*7}}',
    "'; true; '",
    '*',
    '"1"',
    '-1',
    '1e309',
    'NaN',
    '/(a+)+$/',
  ),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

const anything: Arbitrary<unknown> = fc.oneof(
  nastyText,
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(null, true, 0, -1, 1e15, 0.1, [], {}),
);

/** Mostly what a schema allows, as far as its types go, and now and then something else. `fixed`: the values of certain keys, which are not left to chance. */
export function arbitraryFor(schema: JsonSchema, fixed: Record<string, Arbitrary<unknown>> = {}): Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: fitting(schema, fixed) }, { weight: 1, arbitrary: anything });
}

function fitting(schema: JsonSchema, fixed: Record<string, Arbitrary<unknown>>): Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && choices.length > 0) return fc.oneof(...choices.map((choice) => arbitraryFor(choice, fixed)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'object':
      return objectFor(schema, fixed);
    case 'array':
      return fc.array(arbitraryFor(schema.items ?? {}, fixed), { maxLength: 3 });
    case 'string':
      return nastyText;
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'integer':
      return fc.integer({ min: Math.max(schema.minimum ?? -5, -5), max: Math.min(schema.maximum ?? 100, 100) });
    case 'number':
      return fc.double({ min: Math.max(schema.minimum ?? -5, -5), max: 100, noNaN: true });
    default:
      return anything;
  }
}

function objectFor(schema: JsonSchema, fixed: Record<string, Arbitrary<unknown>>): Arbitrary<unknown> {
  const properties: Record<string, Arbitrary<unknown>> = {};
  for (const [key, value] of Object.entries(schema.properties ?? {}))
    properties[key] = fixed[key] ?? arbitraryFor(value, fixed);
  const required = (schema.required ?? []).filter((key) => key in properties);
  const known = fc.record(properties, { requiredKeys: required });
  const more = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null;
  if (more) return fc.dictionary(nastyText, arbitraryFor(more, fixed), { maxKeys: 3 });
  return fc.oneof(
    { weight: 8, arbitrary: known },
    {
      weight: 1,
      arbitrary: fc.tuple(known, fc.dictionary(nastyText, anything, { maxKeys: 2 })).map(([a, b]) => ({ ...b, ...a })),
    },
  );
}
