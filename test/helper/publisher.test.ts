import {
  chown,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPublisher, type WrittenFile } from '../../src/helper/publisher.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const NAMES = ['bundle.pem', 'key.pem', 'svid.pem'];
const ROUNDS = 60;

/** In the order of `x509Files`: the certificate last. */
const set = (round: number): readonly WrittenFile[] =>
  NAMES.map((name) => ({ name, mode: name === 'key.pem' ? 0o600 : 0o644, content: `${round}` }));

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const publisher = (layout: 'files' | 'versions', names = NAMES) =>
  createPublisher({ certDir: folder.path, layout }, names, undefined);
const read = async (path: string) => Number(await readFile(path, 'utf8'));

/** Reads again and again while somebody writes sixty sets. */
async function whileWriting(layout: 'files' | 'versions', readOnce: () => Promise<void>): Promise<number> {
  const written = publisher(layout);
  await written.publish(set(0));
  let isWriting = true;
  let reads = 0;
  const reading = (async () => {
    for (; isWriting; reads++) await readOnce();
  })();
  for (let round = 1; round <= ROUNDS; round++) await written.publish(set(round));
  isWriting = false;
  await reading;
  return reads;
}

describe('single files', () => {
  test('who reads the certificate, then the key, never has a new certificate with an old key', async () => {
    const reads = await whileWriting('files', async () => {
      const certificate = await read(folder.join('svid.pem'));
      expect(await read(folder.join('key.pem'))).toBeGreaterThanOrEqual(certificate);
      expect(await read(folder.join('bundle.pem'))).toBeGreaterThanOrEqual(certificate);
    });
    expect(reads).toBeGreaterThan(10);
  });

  test('have their modes, are written only where they changed, and leave nothing else', async () => {
    const written = publisher('files');
    expect(await written.publish(set(1))).toBe(true);
    const before = await stat(folder.join('key.pem'), { bigint: true });
    expect(before.mode & 0o777n).toBe(0o600n);
    expect((await stat(folder.join('svid.pem'))).mode & 0o777).toBe(0o644);
    expect(await written.publish(set(1))).toBe(false);
    expect((await stat(folder.join('key.pem'), { bigint: true })).ino).toBe(before.ino);
    expect((await readdir(folder.path)).toSorted()).toEqual(NAMES);
  });

  test('what could not be written is written the next time', async () => {
    await mkdir(folder.join('svid.pem'));
    const written = publisher('files');
    await expect(written.publish(set(1))).rejects.toThrow(expect.objectContaining({ code: 'FILE_UNUSABLE' }));
    await rmdir(folder.join('svid.pem'));
    expect(await written.publish(set(1))).toBe(true);
    expect(await read(folder.join('svid.pem'))).toBe(1);
  });
});

describe('versions', () => {
  test('who goes into the folder once reads one set', async () => {
    const reads = await whileWriting('versions', async () => {
      const current = await realpath(folder.join('current'));
      const found = await Promise.all(NAMES.map((name) => read(`${current}/${name}`))).catch((error: unknown) => {
        // Two switches later the set is gone: such a reader finds nothing, never a mixture.
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
        throw error;
      });
      expect(new Set(found).size).toBeLessThanOrEqual(1);
    });
    expect(reads).toBeGreaterThan(10);
  });

  test('each name leads to the newest set; the set before it is kept, no older one', async () => {
    const written = publisher('versions');
    for (let round = 1; round <= 4; round++) {
      await written.publish(set(round));
      for (const name of NAMES) expect(await read(folder.join(name))).toBe(round);
    }
    const names = await readdir(folder.path);
    expect(names.filter((name) => name.startsWith('version-'))).toHaveLength(2);
    expect(names.filter((name) => !name.startsWith('version-')).toSorted()).toEqual([...NAMES, 'current'].toSorted());
    expect(await readlink(folder.join('svid.pem'))).toBe('current/svid.pem');
    expect((await stat(folder.join('key.pem'))).mode & 0o777).toBe(0o600);
  });

  test('a set that lacks a part replaces nothing of the run before', async () => {
    const names = [...NAMES, 'a.token'];
    const token = { name: 'a.token', mode: 0o600, content: '1' };
    await publisher('versions', names).publish([...set(1), token]);
    const next = publisher('versions', names);
    await next.publish(set(2));
    expect([await read(folder.join('svid.pem')), await read(folder.join('a.token'))]).toEqual([1, 1]);
    await next.publish([{ ...token, content: '2' }]);
    expect([await read(folder.join('svid.pem')), await read(folder.join('a.token'))]).toEqual([2, 2]);
  });

  test('take the place of single files', async () => {
    await writeFile(folder.join('svid.pem'), 'old');
    await publisher('versions').publish(set(1));
    expect(await read(folder.join('svid.pem'))).toBe(1);
  });
});

describe.each(['files', 'versions'] as const)('the owner of the folder above, with %s,', (layout) => {
  const OWNER = 12_345;
  const write = (round: number) =>
    createPublisher({ certDir: folder.join('app/certs'), layout }, NAMES, undefined).publish(set(round));

  beforeEach(async () => {
    for (const name of ['app', 'app/certs', 'system']) await mkdir(folder.join(name));
    await writeFile(folder.join('system/svid.pem'), 'precious');
    await mkdir(folder.join('system/version-0123456789abcdef'));
    await chown(folder.join('app'), OWNER, OWNER);
  });

  test('cannot have certificates written elsewhere by a link', async () => {
    await write(1);
    await rename(folder.join('app/certs'), folder.join('app/kept'));
    await symlink('../system', folder.join('app/certs'));
    await expect(write(2)).rejects.toThrow(
      /the folder ".*certs" of cert_dir leads by way of the symbolic link "certs"/,
    );
    expect((await readdir(folder.join('system'))).toSorted()).toEqual(['svid.pem', 'version-0123456789abcdef']);
    expect(await readFile(folder.join('system/svid.pem'), 'utf8')).toBe('precious');
  });

  test('gives another folder of his own, which is written to', async () => {
    await write(1);
    await rename(folder.join('app/certs'), folder.join('app/kept'));
    await mkdir(folder.join('app/certs'));
    await write(2);
    expect(await read(folder.join('app/certs/svid.pem'))).toBe(2);
  });

  test('cannot have what is elsewhere removed', async () => {
    await symlink('../../system', folder.join('app/certs/version-fedcba9876543210'));
    for (const round of [1, 2, 3]) await write(round);
    expect(await readdir(folder.join('system'))).toHaveLength(2);
  });
});
