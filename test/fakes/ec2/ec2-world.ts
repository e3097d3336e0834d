import { randomBytes } from 'node:crypto';

export interface FakeType {
  cpu: number;
  /** MiB. */
  mem: number;
  architecture: 'x86_64' | 'arm64';
  spot: boolean;
  /** Where it is sold; absent: everywhere. */
  zones?: readonly string[];
}

export interface FakeInstance {
  id: string;
  region: string;
  az: string;
  type: string;
  token: string | undefined;
  spot: boolean;
  tags: Record<string, string>;
  /** What the request asked for, as it came. */
  userData: string;
  keyName: string | undefined;
  subnet: string;
  groups: readonly string[];
  publicIp: string | undefined;
  privateIp: string;
  /** ms since the epoch. */
  madeAt: number;
  endedAt: number | null;
  endReason: { code: string; message: string } | null;
  /** Not shown before. */
  shownFrom: number;
  /** Forgotten by EC2 for good: shown no more. */
  forgotten: boolean;
  isProtected: boolean;
  impaired: boolean;
  event: { code: string; description: string } | null;
  spotNotice: boolean;
}

export type FakeState = 'pending' | 'running' | 'shutting-down' | 'terminated';

/** What there is, as EC2 would have it, and how it behaves. Tests read it and change it freely. */
export class Ec2World {
  readonly accessKeys = new Map([['AKIDEXAMPLE', 'a-secret-of-the-test']]);
  readonly regions = new Map<string, readonly string[]>([
    ['us-west-2', ['us-west-2a', 'us-west-2b']],
    ['eu-west-1', ['eu-west-1a']],
  ]);
  readonly types = new Map<string, FakeType>([
    ['t3.small', { cpu: 2, mem: 2048, architecture: 'x86_64', spot: true }],
    ['m6i.large', { cpu: 2, mem: 8192, architecture: 'x86_64', spot: true }],
    ['t4g.small', { cpu: 2, mem: 2048, architecture: 'arm64', spot: true }],
    ['c5.xlarge', { cpu: 4, mem: 8192, architecture: 'x86_64', spot: false, zones: ['us-west-2a'] }],
  ]);
  images = [
    {
      id: 'ami-0a1',
      name: 'debian-12-amd64-20250101',
      owner: '136693071363',
      architecture: 'x86_64',
      made: '2025-01-01T00:00:00.000Z',
    },
    {
      id: 'ami-0a2',
      name: 'debian-12-amd64-20250601',
      owner: '136693071363',
      architecture: 'x86_64',
      made: '2025-06-01T00:00:00.000Z',
    },
    {
      id: 'ami-0b1',
      name: 'debian-12-arm64-20250601',
      owner: '136693071363',
      architecture: 'arm64',
      made: '2025-06-01T00:00:00.000Z',
    },
  ];
  subnets = [
    { id: 'subnet-0a', az: 'us-west-2a', isDefault: true },
    { id: 'subnet-0b', az: 'us-west-2b', isDefault: true },
    { id: 'subnet-0c', az: 'eu-west-1a', isDefault: true },
  ];
  keyPairs = new Set(['ops']);
  groups = new Set(['sg-01', 'sg-02']);
  /** Actions that the credentials have no right to. */
  denied = new Set<string>();
  /** `az/type` or `az/type:spot` that are sold out. */
  soldOut = new Set<string>();
  maxInstances = Number.POSITIVE_INFINITY;
  bootMs = 0;
  endMs = 0;
  hideMs = 0;
  addressOf: () => string = () => '127.0.0.1';
  /** For a test that has real hosts behind its instances. */
  onMade: (instance: FakeInstance) => void = () => undefined;
  onEnded: (instance: FakeInstance) => void = () => undefined;
  readonly instances: FakeInstance[] = [];
  /** By region and client token: what was asked, and what was made. */
  readonly tokens = new Map<string, { asked: string; id: string }>();

  regionOf(az: string): string | undefined {
    return [...this.regions].find(([, zones]) => zones.includes(az))?.[0];
  }

  add(
    instance: Omit<
      FakeInstance,
      | 'id'
      | 'privateIp'
      | 'madeAt'
      | 'shownFrom'
      | 'endedAt'
      | 'endReason'
      | 'forgotten'
      | 'isProtected'
      | 'impaired'
      | 'event'
      | 'spotNotice'
    >,
  ): FakeInstance {
    const now = Date.now();
    const made: FakeInstance = {
      ...instance,
      id: `i-${randomBytes(8).toString('hex')}`,
      privateIp: this.addressOf(),
      madeAt: now,
      shownFrom: now + this.hideMs,
      endedAt: null,
      endReason: null,
      forgotten: false,
      isProtected: false,
      impaired: false,
      event: null,
      spotNotice: false,
    };
    this.instances.push(made);
    this.onMade(made);
    return made;
  }

  end(instance: FakeInstance, code: string, message: string): void {
    if (instance.endedAt !== null) return;
    instance.endedAt = Date.now();
    instance.endReason = { code, message };
    this.onEnded(instance);
  }

  stateOf(instance: FakeInstance): FakeState {
    const now = Date.now();
    if (instance.endedAt !== null) return now >= instance.endedAt + this.endMs ? 'terminated' : 'shutting-down';
    return now >= instance.madeAt + this.bootMs ? 'running' : 'pending';
  }

  isShown(instance: FakeInstance): boolean {
    return !instance.forgotten && Date.now() >= instance.shownFrom;
  }

  /** What runs, or will, or does not end yet. */
  living(): FakeInstance[] {
    return this.instances.filter((instance) => instance.endedAt === null);
  }

  ofMachine(machineId: string): FakeInstance[] {
    return this.instances.filter(({ tags }) => tags['cerebro:machine'] === machineId);
  }
}
