import './reflect-metadata.ts';
import { KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { z } from 'zod';
import { CerebroError } from '../../errors.ts';
import { CLUSTER_DOOR_NAME, CLUSTER_SITTER_NAME, machineName, type TlsIdentity } from '../../model/tls-identity.ts';

/** The cluster's authority as the store keeps it: PEM both. */
export const authorityRecord = z.strictObject({ certificate: z.string(), key: z.string() });
export type AuthorityRecord = z.infer<typeof authorityRecord>;

/** `cluster-sitter` calls machines and other cluster sitters; `cluster-door` is where the latter are let in. */
export type Bearer = { kind: 'machine'; id: string } | { kind: 'cluster-sitter' } | { kind: 'cluster-door' };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const DAY_MS = 24 * 3600 * 1000;
/** A machine's clock may be wrong when it is new: what is issued now is good since yesterday. */
const BACKDATED_MS = DAY_MS;
const AUTHORITY_LIFE_MS = 20 * 365 * DAY_MS;

/** A new authority: a key, and a certificate that it signed itself. It may issue certificates of machines and sitters, and no other authority. */
export async function createAuthority(now: number): Promise<AuthorityRecord> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: 'CN=Cerebro cluster authority',
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(now + AUTHORITY_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: pemOf(keys.privateKey) };
}

/**
 * A new key with a certificate for `bearer`, good for `lifeMs` or as long as the authority itself.
 * A machine's and a door's serve and do not command; a cluster sitter's commands and does not serve: none can be used as another.
 */
export async function issueCertificate(
  authority: AuthorityRecord,
  bearer: Bearer,
  now: number,
  lifeMs: number,
): Promise<TlsIdentity> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const ends = Math.min(now + lifeMs, issuer.notAfter.getTime());
  if (ends <= now) {
    throw new CerebroError(
      'unsupported',
      `the cluster's authority ended on ${issuer.notAfter.toISOString()}; nothing can be issued by it any more`,
    );
  }
  const keys = await newKeys();
  const { title, name } = titleOf(bearer);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [title] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(ends),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await privateKeyOf(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([bearer.kind === 'cluster-sitter' ? CLIENT_AUTH : SERVER_AUTH], true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: name }]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { authority: authority.certificate, certificate: certificate.toString('pem'), key: pemOf(keys.privateKey) };
}

function titleOf(bearer: Bearer): { title: string; name: string } {
  if (bearer.kind === 'machine') return { title: bearer.id.slice(0, 64), name: machineName(bearer.id) };
  if (bearer.kind === 'cluster-sitter') return { title: 'cluster sitter', name: CLUSTER_SITTER_NAME };
  return { title: 'door of a cluster sitter', name: CLUSTER_DOOR_NAME };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** 127 random bits: positive, and never the same twice. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return bytes.toString('hex');
}

function pemOf(key: webcrypto.CryptoKey): string {
  return String(KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }));
}

function privateKeyOf(pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
