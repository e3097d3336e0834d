import type { RequestListener } from 'node:http';
import { TwoWayDoor } from './two-way-door.ts';

/** The way into one of several cluster sitters: TLS for the others, and plain HTTP for whoever reaches it, as where there is one alone. */
export class ClusterDoor extends TwoWayDoor {
  constructor(handler: RequestListener) {
    super({ handler, identity: null, plain: () => true, refusal: '' });
  }
}
