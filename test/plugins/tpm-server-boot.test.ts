import { describe, expect, test } from 'vitest';
import { MAX_CHUNK_BYTES } from '../../src/plugins/tpm/log-codec.ts';
import { MAX_LOG_BYTES } from '../../src/plugins/tpm/measured-boot.ts';
import { deniedBy } from '../harness/denied.ts';
import { MACHINES } from '../tpm/vectors.ts';
import { bootedTpm, imaLogUpTo, logsOf } from './recorded-boot.ts';
import { type Attestation, attest } from './tpm-server-fixture.ts';

const BOTH = { event_log: true, ima_log: true };
const [machine, other] = MACHINES;
const logs = logsOf(machine);
const tpm = bootedTpm(machine);

describe.each(MACHINES)('a machine as it was captured: %s', (name) => {
  test.each([
    ['the log has gone on since the quote', 'before'],
    ['the quote has all of the log', 'after'],
  ] as const)('is admitted where %s', async (_what, when) => {
    const attestation = { tpm: bootedTpm(name, when), logs: logsOf(name), config: BOTH };
    const { selectorValues } = await attest(attestation);
    const isShim = name === 'shim-grub-secure-boot';
    expect(selectorValues).toContain(isShim ? 'secure_boot:enabled' : 'secure_boot:disabled');
    expect(selectorValues.some((value) => value.startsWith('kernel:cmdline:sha256:'))).toBe(isShim);
  });

  test('is admitted with the log of events alone, and with that of IMA alone', async () => {
    const booted = bootedTpm(name);
    await attest({ tpm: booted, logs: logsOf(name), config: { event_log: true } });
    await attest({ tpm: booted, logs: logsOf(name), config: { ima_log: true } });
  });

  test('in a bank that its kernel extends by padded SHA-1, where that was asked for alone', async () => {
    const booted = bootedTpm(name);
    const config = { event_log: true, pcr_bank: 'sha384' };
    await attest({ tpm: booted, logs: logsOf(name), config });
    const withIma = { ...config, ima_log: true };
    await expect(attest({ tpm: booted, logs: logsOf(name), config: withIma })).rejects.toEqual(deniedBy('E38'));
  });
});

test('an agent is asked for no log that the configuration does not want', async () => {
  const asked: unknown[] = [];
  await attest({ tpm, logs, onRequest: (request) => asked.push(request) });
  expect(asked).toEqual([]);
});

test('a log is asked for part by part until it ends', async () => {
  const offsets: number[] = [];
  const chunk: Attestation['chunk'] = (part, { length }) => {
    const bytes = part.bytes.subarray(0, Math.min(length, 100));
    return { ...part, bytes, state: bytes.length < part.bytes.length ? 'more' : part.state };
  };
  const onRequest: Attestation['onRequest'] = ({ log, offset }) => {
    if (log === 'ima') offsets.push(offset);
  };
  await attest({ tpm, logs, config: BOTH, chunk, onRequest });
  expect(offsets).toEqual(offsets.map((_offset, index) => index * 100));
  expect(offsets.length).toBe(Math.ceil(logs.ima.length / 100));
});

const ofIma = (change: (bytes: Uint8Array) => Uint8Array): Attestation => ({
  tpm,
  logs: { ...logs, ima: change(logs.ima) },
  config: BOTH,
});
const ofEvents = (change: (bytes: Uint8Array) => Uint8Array): Attestation => ({
  tpm,
  logs: { ...logs, event: change(logs.event) },
  config: BOTH,
});

const REFUSED: readonly (readonly [string, string, Attestation])[] = [
  ['D25', 'a log of events that is none', ofEvents(() => Buffer.alloc(100))],
  ['D26', 'a log of events with a byte behind it', ofEvents((bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))],
  ['D28', 'the log of events of another machine', { tpm, logs: logsOf(other), config: { event_log: true } }],
  ['E35', 'an entry of IMA that was edited', ofIma((bytes) => bytes.with(120, 1 ^ (bytes[120] ?? 0)))],
  ['E38', 'the IMA log of another machine', { tpm, logs: { ...logs, ima: logsOf(other).ima }, config: BOTH }],
  ['E39', 'an IMA log that is shorter than the quote', ofIma(() => imaLogUpTo(machine, 5))],
  [
    'F42',
    'a log that does not end',
    { tpm, logs: { ...logs, event: Buffer.alloc(MAX_LOG_BYTES.event + 1) }, config: BOTH },
  ],
  [
    'F42',
    'more of a log than was asked for',
    { ...ofIma(same), chunkBytes: (bytes) => Buffer.concat([bytes, Buffer.alloc(MAX_CHUNK_BYTES)]) },
  ],
  [
    'F42',
    'what is larger than any part, before it is read',
    { ...ofIma(same), chunkBytes: () => Buffer.alloc(MAX_CHUNK_BYTES + 65) },
  ],
  [
    'F42',
    'a few bytes of a log more than were asked for',
    {
      ...ofIma(same),
      chunk: (part, { length }) => ({ ...part, state: 'end', bytes: Buffer.alloc(length + 20) }),
    },
  ],
  [
    'F42',
    'a part with nothing in it, though there is more',
    { ...ofIma(same), chunk: atMost(8, (part) => ({ ...part, state: 'more', bytes: new Uint8Array(0) })) },
  ],
  ['F43', 'a part of another log', { ...ofIma(same), chunk: (part) => ({ ...part, log: 'ima' }) }],
  ['F43', 'a part from elsewhere', { ...ofIma(same), chunk: (part) => ({ ...part, offset: 4 }) }],
];

test.each(REFUSED)('%s refuses %s', async (check, _what, attestation) => {
  await expect(attest(attestation)).rejects.toEqual(deniedBy(check));
});

/** A node that loses patience, so that a server which asks without end is seen. */
function atMost(count: number, chunk: NonNullable<Attestation['chunk']>): NonNullable<Attestation['chunk']> {
  let asked = 0;
  return (part, request) => {
    asked += 1;
    if (asked > count) throw new RangeError(`the server has asked ${asked} times for a log that does not go on`);
    return chunk(part, request);
  };
}

function same<T>(value: T): T {
  return value;
}
