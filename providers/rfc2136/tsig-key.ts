import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';

const HASHES = { 'hmac-sha256': 'sha256', 'hmac-sha512': 'sha512' } as const;
export type TsigAlgorithm = keyof typeof HASHES;

/** A shared secret under a name that the server knows. The secret itself cannot be printed. */
export class TsigKey {
  /** In lower case, without the final dot. */
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly #secret: KeyObject;

  constructor(name: string, algorithm: TsigAlgorithm, secret: Buffer) {
    this.name = name.toLowerCase().replace(/\.$/, '');
    this.algorithm = algorithm;
    this.#secret = createSecretKey(secret);
  }

  mac(parts: readonly Buffer[]): Buffer {
    const hmac = createHmac(HASHES[this.algorithm], this.#secret);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }
}

/** Reads the key from where the configuration says. Throws `invalid`, without a word of what stands there. */
export function readTsigKey(from: { key_file?: string; key_env?: string }, logger: Logger): TsigKey {
  if (from.key_env !== undefined) {
    const text = process.env[from.key_env];
    if (!text)
      throw new CerebroError('invalid', `the environment variable ${from.key_env}, for the TSIG key, is not set`);
    return parseTsigKey(text, `the environment variable ${from.key_env}`);
  }
  const path = from.key_file ?? '';
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
    if ((statSync(path).mode & 0o004) !== 0)
      logger.warn({ file: path }, `everybody on this host can read the TSIG key in ${path}; chmod o-r it`);
  } catch (error) {
    throw new CerebroError('invalid', `the file with the TSIG key cannot be read: ${messageOf(error)}`);
  }
  return parseTsigKey(text, path);
}

/** Takes `key "NAME" { algorithm A; secret "S"; };` as tsig-keygen writes it, or `A:NAME:S`. `where` is for messages. */
export function parseTsigKey(text: string, where: string): TsigKey {
  const uncommented = text.replace(/^\s*(#|\/\/).*$/gm, '').trim();
  const block = /^key\s+"?([^"\s{]+)"?\s*\{([^}]*)\}\s*;?$/.exec(uncommented);
  const line = /^([\w-]+):([^:\s]+):([A-Za-z0-9+/=]+)$/.exec(uncommented);
  const algorithm = line?.[1] ?? /\balgorithm\s+"?([\w-]+)"?\s*;/.exec(block?.[2] ?? '')?.[1];
  const secret = line?.[3] ?? /\bsecret\s+"?([A-Za-z0-9+/=\s]+)"?\s*;/.exec(block?.[2] ?? '')?.[1];
  const name = line?.[2] ?? block?.[1];
  if (name === undefined || algorithm === undefined || secret === undefined)
    throw new CerebroError(
      'invalid',
      `${where} holds no TSIG key: it must be as tsig-keygen writes it, or one line algorithm:name:secret`,
    );
  if (
    name.length > 253 ||
    !name
      .replace(/\.$/, '')
      .split('.')
      .every((label) => /^[\x21-\x7e]{1,63}$/.test(label))
  )
    throw new CerebroError('invalid', `${where}: the TSIG key's name is no legal name`);
  const known = algorithm.toLowerCase();
  if (known !== 'hmac-sha256' && known !== 'hmac-sha512')
    throw new CerebroError('invalid', `${where}: the TSIG algorithm ${algorithm} is not hmac-sha256 or hmac-sha512`);
  const bytes = Buffer.from(secret, 'base64');
  if (bytes.length < 16)
    throw new CerebroError(
      'invalid',
      `${where}: the TSIG secret must be at least 16 bytes in base64; tsig-keygen makes one`,
    );
  return new TsigKey(name, known, bytes);
}
