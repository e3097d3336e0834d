import type { Release } from './release.ts';

/** What starts a daemon, and starts it again: the place that an upgrade puts another program into. */
export interface DaemonSeat {
  /** For people: "in the background", "the service cerebro-machine.service". */
  readonly name: string;
  /** Throws when it cannot take another program; nothing has been changed then. */
  check(release: Release): Promise<void>;
  /**
   * Starts the new program, once `end` has ended the old one. What goes wrong before it calls `end` is thrown with everything as it was,
   * and the old one running on.
   */
  put(release: Release, end: () => Promise<void>): Promise<void>;
  /** Starts the old program again, whatever has become of the new one. Called only when the old one was ended. */
  putBack(): Promise<void>;
  /** The pid of what was started last; undefined: not known, or none. */
  pid(): Promise<number | undefined>;
  /** Why what was started last will not come up; undefined: it may yet. */
  hopeless(): Promise<string | undefined>;
}
