import { shareAccess } from '../cluster/access/share-access.ts';
import { DoorKeeper } from '../cluster/leader/door-keeper.ts';
import type { Peers } from '../cluster/leader/peers.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import type { StateStore } from '../contracts/state-store.ts';
import type { Auth } from '../http/doors/auth.ts';
import type { ClusterDoor } from '../http/doors/cluster-door.ts';
import type { DataFolder } from './data-folder.ts';

export interface JoinedPeersDeps {
  store: StateStore;
  peers: Peers;
  auth: Auth;
  door: ClusterDoor;
  dataFolder: DataFolder;
  clock: Clock;
  logger: Logger;
}

/** Makes this cluster sitter one of several: it takes the callers that the others take, and lets the others in. */
export class JoinedPeers {
  readonly #deps: JoinedPeersDeps;
  readonly #keeper: DoorKeeper;

  constructor(deps: JoinedPeersDeps) {
    const { peers, door, clock, logger } = deps;
    this.#deps = deps;
    this.#keeper = new DoorKeeper({
      issue: () => peers.issueForDoor(),
      lifetimeMs: peers.certificateMs,
      use: (identity) => door.use(identity),
      clock,
      logger,
    });
  }

  async start(): Promise<void> {
    const { store, auth, dataFolder } = this.#deps;
    const access = await shareAccess(store, dataFolder.access());
    dataFolder.keepAccess(access);
    auth.share(access);
    await this.#keeper.start();
  }

  async stop(): Promise<void> {
    await this.#keeper.stop();
  }
}
