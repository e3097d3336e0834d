import { CerebroError } from '../../core/errors.ts';
import type { HostKey } from './host-key.ts';

/** EC2 takes 16 KiB, before base64. */
const MAX_BYTES = 16 * 1024;

/**
 * What cloud-init makes of a fresh instance: our host key, who may come in, and the owner's own script. Whoever runs on the machine
 * can read it, so nothing is in it that opens another door.
 */
export function userData(options: {
  hostKey: HostKey;
  /** As in authorized_keys. */
  authorizedKeys: readonly string[];
  /** A shell script for the first boot. */
  script: string | undefined;
}): string {
  const { hostKey, authorizedKeys, script } = options;
  // JSON is YAML: nothing has to be quoted by hand.
  const document = {
    ssh_deletekeys: true,
    ssh_genkeytypes: [],
    ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    ssh_pwauth: false,
    ...(authorizedKeys.length > 0 && { ssh_authorized_keys: authorizedKeys }),
    ...(script !== undefined && { runcmd: [['/bin/sh', '-c', script]] }),
  };
  const text = `#cloud-config\n${JSON.stringify(document, null, 1)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES)
    throw new CerebroError(
      'invalid',
      `user_data: with the SSH keys it is ${bytes} bytes, EC2 takes ${MAX_BYTES}: make it shorter`,
    );
  return text;
}
