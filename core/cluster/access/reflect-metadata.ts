/**
 * The three functions of the metadata proposal that tsyringe, which @peculiar/x509 is built on, insists on before it can be imported.
 * Import this module before that one. What another library has put there stays.
 */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

const read = (key: unknown, target: object): unknown => metadata.get(target)?.get(key);
const functions = {
  getMetadata: read,
  getOwnMetadata: read,
  defineMetadata: (key: unknown, value: unknown, target: object): void => {
    const known = metadata.get(target) ?? new Map<unknown, unknown>();
    known.set(key, value);
    metadata.set(target, known);
  },
};

if (!('getMetadata' in Reflect)) Object.assign(Reflect, functions);
