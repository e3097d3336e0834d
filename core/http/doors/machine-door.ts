import type { RequestListener } from 'node:http';
import type { TlsIdentity } from '../../model/tls-identity.ts';
import type { RequestBounds } from './request-bounds.ts';
import { TwoWayDoor } from './two-way-door.ts';

const ONLY_THIS_HOST =
  'Plain HTTP is served to this host alone. Others speak TLS here, with a certificate of the cluster sitter.\n';

/** The way into a machine sitter: TLS for the cluster sitter, who commands it, and plain HTTP for this host's own people. */
export class MachineDoor extends TwoWayDoor {
  constructor(handler: RequestListener, identity: TlsIdentity | null, bounds?: RequestBounds) {
    super({ handler, identity, bounds, plain: isThisHost, refusal: ONLY_THIS_HOST });
  }
}

/** An address of loopback. */
export function isThisHost(address: string | undefined): boolean {
  return address !== undefined && /^(?:127\.|::1$|::ffff:127\.)/.test(address);
}
