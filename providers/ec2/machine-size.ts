/** How a size on the spot market is named: `t3.small:spot`. To a planner it is a size of its own, with a price of its own. */
const SPOT = ':spot';

export interface MachineSize {
  /** `t3.small` */
  instanceType: string;
  spot: boolean;
}

export function sizeName({ instanceType, spot }: MachineSize): string {
  return spot ? `${instanceType}${SPOT}` : instanceType;
}

export function readSize(name: string): MachineSize {
  return name.endsWith(SPOT)
    ? { instanceType: name.slice(0, -SPOT.length), spot: true }
    : { instanceType: name, spot: false };
}
