import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TrustDomain } from 'assayer/plugin-sdk';
import { describe, write } from '../src/plugin.ts';

const bundle = {
  trustDomain: 'example.org' as TrustDomain,
  x509Authorities: [{ certificate: Buffer.from('root'), tainted: false }],
  jwtAuthorities: [],
  refreshHintSeconds: 60,
  sequenceNumber: 5n,
};

test('each event is a line', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'journal-'));
  const path = join(folder, 'journal');
  try {
    await write(path, describe('loaded', bundle));
    await write(path, describe('updated', bundle));
    assert.deepEqual((await readFile(path, 'utf8')).split('\n'), [
      'bundle loaded: example.org sequence=5 x509=1 jwt=0',
      'bundle updated: example.org sequence=5 x509=1 jwt=0',
      '',
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a journal that cannot be written is told', async () => {
  await assert.rejects(write('/dev/null/journal', 'x'), { code: 'FILE_UNUSABLE' });
});
