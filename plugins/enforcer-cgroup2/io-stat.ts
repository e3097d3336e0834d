/**
 * What was read from disks and written to them, over all devices in a group's io.stat:
 * `8:0 rbytes=1 wbytes=2 rios=…`. undefined: the io controller is not handed on to us, and there is no such file.
 */
export function diskBytesOf(stat: string | undefined): { readBytes: number | null; writtenBytes: number | null } {
  if (stat === undefined) return { readBytes: null, writtenBytes: null };
  const sum = (key: string): number =>
    [...stat.matchAll(new RegExp(`\\b${key}=(\\d+)`, 'g'))].reduce((bytes, match) => bytes + Number(match[1]), 0);
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes') };
}
