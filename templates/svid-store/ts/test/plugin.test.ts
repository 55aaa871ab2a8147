import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSpiffeId } from 'assayer/plugin-sdk';
import { nameOf, store } from '../src/plugin.ts';

const svid = {
  spiffeId: parseSpiffeId('spiffe://example.org/web'),
  certificates: [Buffer.from('leaf'), Buffer.from('intermediate')],
  privateKey: Buffer.from('key'),
  bundle: [Buffer.from('root')],
  expiresAt: 1_900_000_000,
  metadata: ['name:web'],
  federatedBundles: new Map(),
};

test('an SVID is kept in files, and replaced', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  try {
    await store(folder, svid);
    await store(folder, { ...svid, certificates: [Buffer.from('renewed')] });
    const own = join(folder, 'web');
    assert.deepEqual((await readdir(own)).sort(), ['bundle.pem', 'key.pem', 'svid.pem']);
    assert.equal((await stat(join(own, 'key.pem'))).mode & 0o777, 0o600);
    const chain = await readFile(join(own, 'svid.pem'), 'utf8');
    assert.equal(chain.split('BEGIN CERTIFICATE').length, 2);
    assert.ok(chain.includes(Buffer.from('renewed').toString('base64')));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a name leads to no other folder', () => {
  assert.equal(nameOf(['other:x', 'name:web']), 'web');
  for (const metadata of [[], ['name:'], ['name:..'], ['name:a/b'], ['name:a', 'name:b']]) {
    assert.throws(() => nameOf(metadata), { code: 'ARGUMENT_INVALID' });
  }
});
