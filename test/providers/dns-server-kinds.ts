import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerKind, ServerSetup } from './real-dns-server.ts';

const run = promisify(execFile);

const allZones = ({ zones, locked, closed }: ServerSetup): string[] => [...zones, locked, closed];
const zoneFile = (zone: string): string =>
  `$TTL 300\n@ IN SOA ns.${zone}. admin.${zone}. 1 3600 600 86400 60\n@ IN NS ns.${zone}.\nns IN A 127.0.0.1\n`;

export const bind: ServerKind = {
  name: 'BIND',
  program: 'named',
  packages: 'bind9 bind9-dnsutils',
  prepare: async (setup) => {
    const { folder, port, key, locked, closed } = setup;
    const zones = allZones(setup).map((zone) => {
      writeFileSync(join(folder, `${zone}.db`), zoneFile(zone));
      const rights = `${zone === locked ? '' : `update-policy { grant "${key.name}" zonesub A TXT CNAME; };`} ${zone === closed ? 'allow-transfer { none; };' : ''}`;
      return `zone "${zone}" { type primary; file "${zone}.db"; ${rights} };`;
    });
    const options = `options {
  directory "${folder}"; pid-file "${folder}/named.pid"; session-keyfile "${folder}/session.key"; managed-keys-directory "${folder}";
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; notify no; allow-transfer { key "${key.name}"; };
};`;
    writeFileSync(
      join(folder, 'named.conf'),
      `${options}\ncontrols {};\ninclude "${folder}/tsig.key";\n${zones.join('\n')}\n`,
    );
    return ['-g', '-n', '1', '-c', join(folder, 'named.conf')];
  },
};

export const knot: ServerKind = {
  name: 'Knot',
  program: 'knotd',
  packages: 'knot bind9-dnsutils',
  prepare: async (setup) => {
    const { folder, port, key, locked, closed } = setup;
    const zones = allZones(setup).map((zone) => {
      writeFileSync(join(folder, `${zone}.zone`), zoneFile(zone));
      const acl = zone === locked ? 'read' : zone === closed ? 'write' : 'all';
      return `  - domain: ${zone}\n    acl: ${acl}\n`;
    });
    const acl = (id: string, actions: string): string =>
      `  - id: ${id}\n    key: ${key.name}\n    action: [${actions}]\n`;
    writeFileSync(
      join(folder, 'knot.conf'),
      `server:
    listen: 127.0.0.1@${port}
    rundir: ${folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: ${folder}/knot.sock
database:
    storage: ${folder}/db
key:
  - id: ${key.name}
    algorithm: ${key.algorithm}
    secret: ${key.secret}
acl:
${acl('all', 'update, transfer')}${acl('read', 'transfer')}${acl('write', 'update')}template:
  - id: default
    storage: ${folder}
    file: "%s.zone"
zone:
${zones.join('')}`,
    );
    mkdirSync(join(folder, 'db'));
    return ['-c', join(folder, 'knot.conf')];
  },
};

export const powerDns: ServerKind = {
  name: 'PowerDNS',
  program: 'pdns_server',
  packages: 'pdns-server pdns-backend-sqlite3 sqlite3 bind9-dnsutils',
  prepare: async (setup) => {
    const { folder, port, key, locked, closed } = setup;
    const sql = [readFileSync('/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql', 'utf8'), 'BEGIN;'];
    sql.push(
      `INSERT INTO tsigkeys (name, algorithm, secret) VALUES ('${key.name}', '${key.algorithm}', '${key.secret}');`,
    );
    for (const [n, zone] of allZones(setup).entries()) {
      const records = [
        [zone, 'SOA', `ns.${zone} admin.${zone} 1 3600 600 86400 60`],
        [zone, 'NS', `ns.${zone}`],
        [`ns.${zone}`, 'A', '127.0.0.1'],
      ];
      sql.push(`INSERT INTO domains (id, name, type) VALUES (${n + 1}, '${zone}', 'NATIVE');`);
      for (const [name, type, content] of records)
        sql.push(
          `INSERT INTO records (domain_id, name, type, content, ttl, auth) VALUES (${n + 1}, '${name}', '${type}', '${content}', 300, 1);`,
        );
      for (const kind of ['TSIG-ALLOW-DNSUPDATE', 'TSIG-ALLOW-AXFR']) {
        if (zone === (kind === 'TSIG-ALLOW-AXFR' ? closed : locked)) continue;
        sql.push(`INSERT INTO domainmetadata (domain_id, kind, content) VALUES (${n + 1}, '${kind}', '${key.name}');`);
      }
    }
    sql.push(
      `INSERT INTO domainmetadata (domain_id, kind, content) SELECT id, 'ALLOW-DNSUPDATE-FROM', '127.0.0.0/8' FROM domains;`,
    );
    sql.push(
      `DELETE FROM domainmetadata WHERE kind = 'ALLOW-DNSUPDATE-FROM' AND domain_id = (SELECT id FROM domains WHERE name = '${locked}');`,
    );
    sql.push('COMMIT;');
    writeFileSync(join(folder, 'zones.sql'), sql.join('\n'));
    await run('sqlite3', [join(folder, 'zones.db'), `.read ${join(folder, 'zones.sql')}`]);
    writeFileSync(
      join(folder, 'pdns.conf'),
      `launch=gsqlite3
gsqlite3-database=${folder}/zones.db
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port=${port}
socket-dir=${folder}
dnsupdate=yes
allow-dnsupdate-from=
disable-axfr=no
allow-axfr-ips=
receiver-threads=1
distributor-threads=1
`,
    );
    return [`--config-dir=${folder}`, '--daemon=no', '--guardian=no'];
  },
};
