import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { judgeEvents } from '../../src/tpm/event-log/judge-events.ts';
import { parseEventLog } from '../../src/tpm/event-log/parse-event-log.ts';
import { readSecureBoot } from '../../src/tpm/event-log/secure-boot.ts';
import { parseSignatureLists } from '../../src/tpm/event-log/signature-list.ts';
import { u32 } from './little-endian.ts';
import { encodeEventLog, event, type MadeEvent } from './made-event-log.ts';
import { denied, refusalOf } from './refusals.ts';

const GLOBAL = '61dfe48bca93d211aa0d00e098032b8c';
const DATABASE = 'cbb219d73a3d9645a3bcdad00e67656f';
const SHIM = '50ab5d6046e00043abb63dd810dd8b23';
const OWNER = Buffer.alloc(16, 0xaa);
const X509 = Buffer.from('a159c0a5e494a74a87b5ab155c2bf072', 'hex');
const SHA256 = Buffer.from('2616c4c14c509240aca941f936934328', 'hex');

const list = (type: Uint8Array, entryBytes: number, content: Uint8Array, header = 0) =>
  Buffer.concat([type, u32(28 + header + content.length), u32(header), u32(entryBytes), Buffer.alloc(header), content]);
const hashes = (...bytes: number[]) =>
  list(SHA256, 48, Buffer.concat(bytes.map((byte) => Buffer.concat([OWNER, Buffer.alloc(32, byte)]))));

function variable(guid: string, name: string, data: Uint8Array): Buffer {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length), 0);
  lengths.writeBigUInt64LE(BigInt(data.length), 8);
  return Buffer.concat([Buffer.from(guid, 'hex'), lengths, Buffer.from(name, 'utf16le'), data]);
}
const policy = (guid: string, name: string, data: Uint8Array) =>
  event(7, 'EV_EFI_VARIABLE_DRIVER_CONFIG', variable(guid, name, data));
const authority = (guid: string, name: string, data: Uint8Array) =>
  event(7, 'EV_EFI_VARIABLE_AUTHORITY', variable(guid, name, data));

const STATE = policy(GLOBAL, 'SecureBoot', Buffer.from([1]));
const KEYS = ['PK', 'KEK'].map((name) => policy(GLOBAL, name, hashes(1)));
const DB = policy(DATABASE, 'db', hashes(2, 3));
const DBX = policy(DATABASE, 'dbx', hashes(4));
const SEPARATOR = event(7, 'EV_SEPARATOR', Buffer.alloc(4));
const BY_DB = authority(DATABASE, 'db', Buffer.concat([OWNER, Buffer.alloc(32, 3)]));
const GOOD: readonly MadeEvent[] = [STATE, ...KEYS, DB, DBX, SEPARATOR, BY_DB];

const read = (events: readonly MadeEvent[]) =>
  readSecureBoot(judgeEvents(parseEventLog(encodeEventLog(events)), 'sha256'));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test.each([
  ['direct-kernel', false, 0, []],
  ['shim-grub-secure-boot', true, 2, ['db db', 'shim SbatLevel', 'shim MokListRT']],
])('of a real machine, %s, it is what that booted with', (machine, isEnabled, count, authorities) => {
  const path = join(import.meta.dirname, '..', 'vectors', 'tpm', machine, 'binary_bios_measurements');
  const found = readSecureBoot(judgeEvents(parseEventLog(readFileSync(path)), 'sha256'));
  expect([found.isEnabled, found.db.length]).toEqual([isEnabled, count]);
  expect(found.authorities.map(({ from, name }) => `${from} ${name}`)).toEqual(authorities);
});

describe('Secure Boot', () => {
  test('is told by the variables that were measured', () => {
    const action = event(7, 'EV_EFI_ACTION', Buffer.from('UEFI Debug Mode'));
    const byShim = authority(SHIM, 'MokListRT', Buffer.from('certificate'));
    const { isEnabled, db, dbx, authorities, actions } = read([action, ...GOOD, byShim]);
    expect([isEnabled, actions]).toEqual([true, ['UEFI Debug Mode']]);
    expect(db.map(({ type, data }) => [type, hex(data)])).toEqual([
      ['sha256', '02'.repeat(32)],
      ['sha256', '03'.repeat(32)],
    ]);
    expect(dbx.map(({ data }) => hex(data))).toEqual(['04'.repeat(32)]);
    expect(authorities.map(({ from, name, data }) => [from, name, hex(data)])).toEqual([
      ['db', 'db', '03'.repeat(32)],
      ['shim', 'MokListRT', hex(Buffer.from('certificate'))],
    ]);
  });

  test('leaves other PCRs, and other variables, alone', () => {
    const elsewhere = event(1, 'EV_EFI_VARIABLE_DRIVER_CONFIG', variable(GLOBAL, 'SecureBoot', Buffer.from([0])));
    const other = policy(DATABASE, 'dbt', Buffer.from('anything'));
    expect(read([elsewhere, other, ...GOOD]).isEnabled).toBe(true);
  });

  const device = (name: string) =>
    event(7, 'EV_EFI_SPDM_DEVICE_AUTHORITY', variable(DATABASE, name, Buffer.from('device')));
  test('says nothing of devices', () => {
    expect(read([...GOOD, device('devdb')]).authorities).toHaveLength(1);
  });

  const edited = (made: MadeEvent, data: Uint8Array): MadeEvent => ({ ...made, data });
  test.each<readonly [string, readonly MadeEvent[], RegExp]>([
    [
      'an event that is not for there',
      [...GOOD, event(7, 'EV_IPL', Buffer.from('x'))],
      /event 8 of PCR 7 is an EV_IPL/,
    ],
    [
      'a variable that was edited',
      [edited(STATE, variable(GLOBAL, 'SecureBoot', Buffer.from([0]))), ...GOOD.slice(1)],
      /event 1 of PCR 7 has a variable that was not measured/,
    ],
    [
      'a variable that was edited, of who verified',
      [...GOOD.slice(0, -1), edited(BY_DB, variable(DATABASE, 'db', Buffer.alloc(48)))],
      /event 7 of PCR 7 has a variable that was not measured/,
    ],
    [
      'an authority that is called an action',
      [...GOOD.slice(0, -1), { ...BY_DB, type: 0x8000_0007 }],
      /event 7 of PCR 7 is called an action, and its data is no text/,
    ],
    [
      'an authority that is called an action of another text',
      [...GOOD.slice(0, -1), { ...BY_DB, type: 0x8000_0007, data: Buffer.from('UEFI') }],
      /event 7 of PCR 7 has a variable that was not measured/,
    ],
    [
      'an authority that is called a device’s',
      [...GOOD.slice(0, -1), { ...BY_DB, type: 0x8000_00e4 }],
      /event 7 of PCR 7 is of devices, and has the variable db/,
    ],
    [
      'an authority of a device that was edited',
      [...GOOD, edited(device('devdb'), variable(DATABASE, 'devdb', Buffer.alloc(3)))],
      /event 8 of PCR 7 has a variable that was not measured/,
    ],
    [
      'what shim verified by called a variable of the firmware',
      [...GOOD, policy(SHIM, 'MokListRT', Buffer.from('certificate'))],
      /event 8 has the variable MokListRT behind the separator/,
    ],
    ['no separator', GOOD.filter((one) => one !== SEPARATOR), /PCR 7 has no separator/],
    ['no SecureBoot', GOOD.filter((one) => one !== STATE), /has nothing of SecureBoot/],
    ['no dbx', GOOD.filter((one) => one !== DBX), /has nothing of dbx/],
    [
      'SecureBoot of another GUID',
      [policy(DATABASE, 'SecureBoot', Buffer.from([1])), ...GOOD.slice(1)],
      /has a variable SecureBoot of d719b2cb-\S+, not of 8be4df61-/,
    ],
    [
      'SecureBoot twice',
      [policy(GLOBAL, 'SecureBoot', Buffer.from([0])), ...GOOD],
      /event 2 has the variable SecureBoot a second time/,
    ],
    [
      'db behind the separator',
      [...GOOD.filter((one) => one !== DB), DB],
      /event 7 has the variable db behind the separator/,
    ],
    [
      'SecureBoot of 2',
      [policy(GLOBAL, 'SecureBoot', Buffer.from([2])), ...GOOD.slice(1)],
      /SecureBoot is neither 0 nor 1/,
    ],
    [
      'SecureBoot of two bytes',
      [policy(GLOBAL, 'SecureBoot', Buffer.from([1, 0])), ...GOOD.slice(1)],
      /SecureBoot is neither 0 nor 1/,
    ],
    [
      'an authority that db has not',
      [...GOOD, authority(DATABASE, 'db', Buffer.concat([OWNER, Buffer.alloc(32, 9)]))],
      /verified by an entry of db that the measured db has not/,
    ],
    [
      'an authority of dbx',
      [...GOOD, authority(DATABASE, 'dbx', Buffer.concat([OWNER, Buffer.alloc(32, 3)]))],
      /verified by an entry of dbx that the measured db has not/,
    ],
    [
      'an authority of nobody',
      [...GOOD, authority(GLOBAL, 'db', Buffer.concat([OWNER, Buffer.alloc(32, 3)]))],
      /verified by an entry of db that the measured db has not/,
    ],
  ])('with %s is refused (D31)', (_what, events, message) => {
    expect(refusalOf(() => read(events))).toEqual(denied('D31', message));
  });
});

describe('a signature database', () => {
  test('has lists of certificates, of hashes and of others', () => {
    const lists = Buffer.concat([
      list(X509, 19, Buffer.concat([OWNER, Buffer.from('der')])),
      hashes(1, 2),
      list(Buffer.alloc(16, 7), 17, Buffer.concat([OWNER, Buffer.from('o')]), 3),
      list(SHA256, 48, Buffer.alloc(0)),
    ]);
    expect(parseSignatureLists(lists, 'db').map(({ type, owner, data }) => [type, owner, data.length])).toEqual(
      [
        ['x509', 3],
        ['sha256', 32],
        ['sha256', 32],
        ['other', 1],
      ].map(([type, length]) => [type, 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa', length]),
    );
    expect(parseSignatureLists(new Uint8Array(), 'dbx')).toEqual([]);
  });

  test.each<readonly [string, Uint8Array, string, RegExp]>([
    [
      'with a rest',
      list(SHA256, 48, Buffer.alloc(49)),
      'D32',
      /a list of dbx has 49 bytes, which are no whole number of signatures of 48/,
    ],
    ['of signatures without data', list(X509, 16, Buffer.alloc(16)), 'D32', /no whole number of signatures of 16/],
    ['of signatures of nothing', list(X509, 0, Buffer.alloc(0)), 'D32', /no whole number of signatures of 0/],
    ['that is shorter than its head', Buffer.concat([X509, u32(27), u32(0), u32(20)]), 'D32', /has -1 bytes/],
    [
      'of hashes of another size',
      list(SHA256, 36, Buffer.alloc(36)),
      'D32',
      /a list of SHA-256 hashes in dbx has signatures of 36 bytes/,
    ],
    ['of 4 GiB', Buffer.concat([X509, u32(0xffff_ffff), u32(0), u32(0xffff_ffff - 28)]), 'D26', /dbx has 0 bytes left/],
    ['that is cut off', hashes(1).subarray(0, -1), 'D26', /dbx has 31 bytes left/],
    ['behind which something is left', Buffer.concat([hashes(1), Buffer.alloc(3)]), 'D26', /dbx has 3 bytes left/],
  ])('%s is refused', (_what, bytes, check, message) => {
    expect(refusalOf(() => parseSignatureLists(bytes, 'dbx'))).toEqual(denied(check, message));
  });
});
