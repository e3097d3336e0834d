/** The few assertions that a suite needs; tap's `t` has them, and so does any other runner with a small adapter. */
export interface Assertions {
  ok(value: unknown): unknown;
  notOk(value: unknown): unknown;
  equal(found: unknown, wanted: unknown): unknown;
  same(found: unknown, wanted: unknown): unknown;
  fail(message: string): unknown;
  rejects(promise: Promise<unknown>): Promise<unknown>;
}

/** One statement about an implementation, to be run by whatever runner the plugin's author likes. */
export interface Case {
  name: string;
  run(t: Assertions): Promise<void>;
}

export type Suite = Case[];
