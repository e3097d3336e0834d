export interface Notice {
  level: 'info' | 'warn' | 'error';
  /** What it is about; notices of one key are one story. */
  key: string;
  sentence: string;
  at: string;
  resolved: boolean;
}

/** Tells people. Throws when it could not; the caller retries with backoff. */
export interface Notifier {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  notify(notices: readonly Notice[]): Promise<void>;
}
