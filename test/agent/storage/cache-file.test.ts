import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AuthorizedEntry } from '../../../src/agent/server-api/authorized-entry.ts';
import { CacheFile } from '../../../src/agent/storage/cache-file.ts';
import type { CacheContent } from '../../../src/agent/workloads/workload-cache.ts';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';
import type { KeyManager, ManagedKey } from '../../../src/plugin-host/kinds/key-manager.ts';
import { emptyBundle } from '../../../src/spiffe/bundle.ts';
import { parseSelector } from '../../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { signerOfKeyObject } from '../../../src/x509/signer.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { entryAtAgent } from '../entry-at-agent.ts';

const AGENT = parseSpiffeId('spiffe://example.org/spire/agent/one');
const trustDomain = parseTrustDomain('example.org');
let folder: TemporaryFolder;
let records: LogRecord[];
beforeEach(async () => {
  folder = await createTemporaryFolder();
  records = [];
  onTestFinished(() => folder[Symbol.asyncDispose]());
});
const openFile = (keys = keyManager) =>
  new CacheFile({ folder: folder.path, keyManager: keys, log: new Logger((record) => records.push(record)) });
const path = () => folder.join('workload-cache');
const sizeOf = async () => (await readFile(path())).length;

/** A key manager with one key, in this process. */
function newKeyManager(): KeyManager {
  const signer = signerOfKeyObject(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
  const key = { ...signer, signDigest: signer.signDigest.bind(signer), id: 'agent-cache' } as ManagedKey;
  return { name: 'here', findKey: async () => key, generateKey: async () => key, getKeys: async () => [key] };
}
const keyManager = newKeyManager();

const entryOf = (id: string, more: Partial<AuthorizedEntry> = {}) =>
  entryAtAgent(id, `/${id}`, {
    selectors: [parseSelector('unix:uid:1')],
    federatesWith: [trustDomain],
    createdAt: 1,
    ...more,
  });

function contentOf(entries: readonly AuthorizedEntry[], serial = 1): CacheContent {
  const svids = entries.map(({ id, spiffeId, revisionNumber, createdAt }) => ({
    entryId: id,
    spiffeId,
    revisionNumber,
    createdAt,
    chain: [Uint8Array.of(serial)],
    privateKey: Uint8Array.from(Buffer.from('a private key')),
    expiresAt: new Date('2026-06-01T13:00:00Z'),
    rotateAt: new Date('2026-06-01T12:30:00Z'),
  }));
  return {
    entries: new Map(entries.map((entry) => [entry.id, entry])),
    svids: new Map(svids.map((svid) => [svid.entryId, svid])),
    bundles: new Map([[trustDomain, emptyBundle(trustDomain)]]),
  };
}

const many = Array.from({ length: 300 }, (_, index) => entryOf(`entry-${index}`));
/** The same with one more and one less entry, and one that has changed with its SVID. */
function changed({ entries, svids, bundles }: CacheContent, number: number): CacheContent {
  const [gone = entryOf('none'), other = entryOf('none')] = [...entries.values()];
  const more = contentOf([entryOf(`more-${number}`), { ...other, revisionNumber: other.revisionNumber + 1 }], number);
  const kept = [...entries].filter(([id]) => id !== gone.id);
  const keptSvids = [...svids].filter(([id]) => id !== gone.id);
  return {
    entries: new Map([...kept, ...more.entries]),
    svids: new Map([...keptSvids, ...more.svids]),
    bundles: number % 2 === 0 ? bundles : more.bundles,
  };
}

test('what was written is read, whole and after changes, each at the price of what is new', async () => {
  const file = openFile();
  let content = contentOf(many);
  await file.write(AGENT, content);
  expect(await openFile().read(AGENT)).toEqual(content);
  const whole = await sizeOf();
  for (let number = 1; number <= 20; number += 1) {
    content = changed(content, number);
    await file.write(AGENT, content);
  }
  expect(await openFile().read(AGENT)).toEqual(content);
  expect((await sizeOf()) - whole).toBeLessThan(0.3 * whole);
  const size = await sizeOf();
  await file.write(AGENT, { ...content });
  expect(await sizeOf()).toBe(size);
  expect(records).toEqual([]);
});

test('changes do not make the file grow without end', async () => {
  const file = openFile();
  let content = contentOf(many.slice(0, 5));
  const sizes: number[] = [];
  for (let number = 0; number < 200; number += 1) {
    await file.write(AGENT, content);
    sizes.push(await sizeOf());
    content = changed(content, number);
  }
  const largest = Math.max(...sizes);
  expect(largest).toBeGreaterThan(64 * 1024);
  expect(largest).toBeLessThan(80 * 1024);
  await file.write(AGENT, content);
  expect(await openFile().read(AGENT)).toEqual(content);
});

test('it is encrypted, and of use to nobody else', async () => {
  const file = openFile();
  await file.write(AGENT, contentOf(many.slice(0, 2)));
  await file.write(AGENT, contentOf(many.slice(0, 3)));
  const bytes = await readFile(path());
  expect([bytes.includes('example.org'), bytes.includes(Buffer.from('a private key').toString('base64'))]).toEqual([
    false,
    false,
  ]);
  expect(await openFile(newKeyManager()).read(AGENT)).toBeUndefined();
  expect(await openFile().read(parseSpiffeId('spiffe://example.org/spire/agent/two'))).toBeUndefined();
  await file.write(parseSpiffeId('spiffe://example.org/spire/agent/two'), contentOf([]));
  expect(await openFile().read(AGENT)).toBeUndefined();
});

test('cut off anywhere it has what was written before, or nothing', async () => {
  const file = openFile();
  const contents = [1, 2, 3].map((count) => contentOf(many.slice(0, count)));
  const ends: number[] = [];
  for (const content of contents) {
    await file.write(AGENT, content);
    ends.push(await sizeOf());
  }
  const bytes = await readFile(path());
  for (let length = 0; length <= bytes.length; length += length % 7 === 0 ? 1 : 12) {
    await writeFile(path(), bytes.subarray(0, length));
    expect(await openFile().read(AGENT)).toEqual(contents[ends.filter((end) => end <= length).length - 1]);
  }
});

test('a byte that was changed spoils what is from there on; records cannot be left out, moved or brought along', async () => {
  const file = openFile();
  const contents = [1, 2, 3].map((count) => contentOf(many.slice(0, count)));
  const ends: number[] = [];
  for (const content of contents) {
    await file.write(AGENT, content);
    ends.push(await sizeOf());
  }
  const bytes = await readFile(path());
  const [first = 0, second = 0] = ends;
  for (let at = 0; at < bytes.length; at += 11) {
    const spoilt = Buffer.from(bytes);
    spoilt[at] = (spoilt[at] ?? 0) ^ 1;
    await writeFile(path(), spoilt);
    expect(await openFile().read(AGENT)).toEqual(contents[ends.filter((end) => end <= at).length - 1]);
  }
  const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)] as const;
  const orders = [
    [parts[0], parts[2]],
    [parts[0], parts[2], parts[1]],
  ];
  for (const order of orders) {
    await writeFile(path(), Buffer.concat(order));
    expect(await openFile().read(AGENT)).toEqual(contents[0]);
  }
  await file.remove();
  await file.write(AGENT, contentOf([]));
  await writeFile(path(), Buffer.concat([await readFile(path()), parts[1]]));
  expect(await openFile().read(AGENT)).toEqual(contentOf([]));
  expect(records.map(({ message }) => message)).toContain(
    'the workload cache was not written to its end, what is before that is used',
  );
});

test('a file that somebody removed, cut off or replaced is written whole again', async () => {
  const file = openFile();
  await file.write(AGENT, contentOf(many.slice(0, 1)));
  const older = await readFile(path());
  const spoil = [() => rm(path()), () => truncate(path(), 60), () => writeFile(path(), older)];
  for (const [index, spoilIt] of spoil.entries()) {
    await spoilIt();
    const content = contentOf(many.slice(0, index + 3));
    await file.write(AGENT, content);
    expect(await openFile().read(AGENT)).toEqual(content);
  }
  expect(records).toEqual([]);
});

test('a folder that cannot be written to is told once, and the file is whole again afterwards', async () => {
  const file = openFile();
  await file.write(AGENT, contentOf(many.slice(0, 1)));
  await rm(folder.path, { recursive: true });
  await file.write(AGENT, contentOf(many.slice(0, 2)));
  await file.write(AGENT, contentOf(many.slice(0, 3)));
  await mkdir(folder.path);
  await file.write(AGENT, contentOf(many.slice(0, 4)));
  expect(await openFile().read(AGENT)).toEqual(contentOf(many.slice(0, 4)));
  expect(records.map(({ message }) => message)).toEqual([
    'the workload cache cannot be kept, a restart needs the server',
    'the workload cache is kept again',
  ]);
});
