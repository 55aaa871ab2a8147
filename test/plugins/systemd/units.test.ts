import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { DbusWriter } from '../../../src/plugins/systemd/dbus/writer.ts';
import { Units } from '../../../src/plugins/systemd/units.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const { signal } = new AbortController();

type Fields = readonly (readonly [code: number, type: string, value: string | number])[];

function message(type: number, fields: Fields, body: Uint8Array = new Uint8Array()): Buffer {
  const header = new DbusWriter();
  for (const [code, kind, value] of fields) {
    header.pad(8).byte(code).signature(kind);
    if (typeof value === 'number') header.uint32(value);
    else if (kind === 'g') header.signature(value);
    else header.string(value);
  }
  return new DbusWriter()
    .bytes(Buffer.from('l'))
    .byte(type)
    .byte(0)
    .byte(1)
    .uint32(body.length)
    .uint32(1)
    .uint32(header.length)
    .bytes(header.finish())
    .pad(8)
    .bytes(body)
    .finish();
}

const answer = (serial: number, sender: string, signature: string, text: string) =>
  message(
    2,
    [
      [5, 'u', serial],
      [7, 's', sender],
      [8, 'g', signature],
    ],
    new DbusWriter().string(text).finish(),
  );
const BUS = 'org.freedesktop.DBus';
const greeting = [Buffer.from('OK 0123\r\n'), answer(1, BUS, 's', ':1.7'), answer(2, BUS, 's', ':1.1')];

/** Somebody who listens where the bus should, and says this to the first, second … thing that is said to him. */
async function busThatSays(...said: readonly Uint8Array[]): Promise<Units> {
  const folder = await createTemporaryFolder();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const left = [...said];
    sockets.add(socket);
    socket.on('data', () => socket.write(left.shift() ?? ''));
    socket.on('error', () => {});
  });
  const path = folder.join('bus');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const units = new Units(path);
  onTestFinished(async () => {
    units[Symbol.dispose]();
    for (const socket of sockets) socket.destroy();
    server.close();
    await folder[Symbol.asyncDispose]();
  });
  return units;
}

const huge = message(2, []);
huge.writeUInt32LE(2 ** 31, 4);
const wrongVersion = message(2, []);
wrongVersion[3] = 2;
const longText = answer(3, ':1.1', 'o', '/unit');
longText.writeUInt32LE(60_000, longText.length - 10);
const notUtf8 = answer(3, ':1.1', 'o', '/unit');
notUtf8[notUtf8.length - 2] = 0xff;

test.each([
  ['refuses who we are', [Buffer.from('REJECTED EXTERNAL\r\n')], /does not take this process for its user/],
  ['never ends its line', [Buffer.alloc(600, 0x4f)], /does not take this process for its user/],
  ['has no byte order', [...greeting, Buffer.alloc(16)], /no byte order/],
  ['announces two gigabytes', [...greeting, huge], /the limit is 65536/],
  ['speaks another version', [...greeting, wrongVersion], /version 2/],
  ['has a text that is longer than the message', [...greeting, longText], /in the middle of a value/],
  ['has a text that is not UTF-8', [...greeting, notUtf8], /not UTF-8/],
  ['answers with another type', [...greeting, answer(3, ':1.1', 's', '/unit')], /an answer has the type "s"/],
])('a bus that %s is refused', async (_what, said, reason) => {
  const units = await busThatSays(...said);
  await expect(units.findUnit(1, signal)).rejects.toMatchObject({
    code: 'WORKLOAD_UNREADABLE',
    message: expect.stringMatching(reason),
  });
});

test('an answer of somebody else than systemd is passed over', async () => {
  const forged = answer(3, ':1.66', 'o', '/forged');
  const units = await busThatSays(...greeting, Buffer.concat([forged, answer(3, ':1.1', 's', '/unit')]));
  await expect(units.findUnit(1, signal)).rejects.toThrow(/an answer has the type "s"/);
});

test('a bus that is silent is left when the caller leaves', async () => {
  const units = await busThatSays();
  await expect(units.findUnit(1, AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('a call that cannot be written leaves nothing that fails later', async () => {
  const units = await busThatSays(...greeting);
  await expect(units.findUnit(-1, signal)).rejects.toThrow(RangeError);
  units[Symbol.dispose](); // fails every call that still waits
});

test('where no bus is, it is said what to do', async () => {
  await expect(new Units('/nonexistent/bus').findUnit(1, signal)).rejects.toThrow(
    /D-Bus socket \/nonexistent\/bus: .*ENOENT.*name the socket with dbus_socket_path$/,
  );
});
