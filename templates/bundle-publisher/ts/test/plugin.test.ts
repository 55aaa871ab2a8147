import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Bundle, TrustDomain } from 'assayer/plugin-sdk';
import { publish } from '../src/plugin.ts';

const trustDomain = 'example.org' as TrustDomain;
const bundle = (...roots: readonly string[]): Bundle => ({
  trustDomain,
  x509Authorities: roots.map((root) => ({ certificate: Buffer.from(root), tainted: false })),
  jwtAuthorities: [],
  refreshHintSeconds: 60,
  sequenceNumber: 1n,
});

test('the authorities are in the file, which is written when they change', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bundle-'));
  const path = join(folder, 'bundle.pem');
  try {
    assert.equal(await publish(bundle('one'), path), true);
    assert.equal(await publish(bundle('one'), path), false);
    assert.equal(await publish(bundle('one', 'two'), path), true);
    assert.equal((await readFile(path, 'utf8')).split('BEGIN CERTIFICATE').length, 3);
    assert.deepEqual(await readdir(folder), ['bundle.pem']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
