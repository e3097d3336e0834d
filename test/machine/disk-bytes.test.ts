import t from 'tap';
import { diskBytesOf as bytesOfGroup } from '../../plugins/enforcer-cgroup2/io-stat.ts';
import { diskBytesOf as bytesOfProcesses, parseProcessIo } from '../../plugins/enforcer-proc/process-io.ts';

t.test('io.stat: the bytes of all devices, and not what was discarded', async (t) => {
  const stat = `8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=7 dios=0
8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021
252:0
`;
  t.strictSame(bytesOfGroup(stat), { readBytes: 91_889_664, writtenBytes: 613_781_504 });
  t.strictSame(bytesOfGroup(''), { readBytes: 0, writtenBytes: 0 }, 'a group that has touched no disk');
  t.strictSame(bytesOfGroup(undefined), { readBytes: null, writtenBytes: null }, 'no io controller');
});

t.test('/proc/PID/io: what reached a disk, and not what was only asked for', async (t) => {
  const text = `rchar: 323934931
wchar: 323929600
syscr: 632687
syscw: 632675
read_bytes: 4096
write_bytes: 323932160
cancelled_write_bytes: 12
`;
  t.strictSame(parseProcessIo(text), { readBytes: 4096, writtenBytes: 323_932_160 });
  const own = bytesOfProcesses([process.pid]);
  t.ok(own && own.readBytes >= 0 && own.writtenBytes >= 0, 'our own can be read');
  t.equal(bytesOfProcesses([2 ** 22 + 1]), null, 'no process has this number');
  t.equal(bytesOfProcesses([]), null);
});
