import { z } from 'zod';

export const MAX_LABEL = 63;
/** 255 octets on the wire: a length before each label and a zero at the end, so two less in writing. */
export const MAX_NAME = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$/i;

/** A domain name that others can be made under, like redis.startup.com. */
export const dnsBasename = z.string().superRefine((name, context) => {
  const problem = problemOfName(name);
  if (problem !== null)
    context.addIssue({ code: 'custom', message: `expected a domain name, like redis.startup.com: ${problem}` });
});

/** Why something cannot be a DNS name; null: it can. */
export function problemOfName(name: string): string | null {
  if (name.length > MAX_NAME) return `it is ${name.length} characters long, and a DNS name has at most ${MAX_NAME}`;
  const labels = name.split('.');
  for (const label of labels) {
    if (label === '') return 'it has an empty label (two dots, or one at its beginning or end)';
    if (label.length > MAX_LABEL)
      return `the label "${label.slice(0, 20)}…" is ${label.length} characters long, and a label has at most ${MAX_LABEL}`;
    if (!LABEL.test(label))
      return `the label "${label}" is not legal: letters, digits and hyphens, and no hyphen at its ends`;
  }
  if (labels.length < 2) return 'it has only one label, and nobody has a zone for that';
  if (/^\d+$/.test(labels.at(-1) ?? '')) return 'it ends in a number, as an address does';
  return null;
}
