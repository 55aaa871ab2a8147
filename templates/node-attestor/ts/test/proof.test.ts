import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NODE_NAME, proofOf, readKey } from '../src/proof.ts';

const key = Buffer.alloc(32, 1);
const challenge = Buffer.alloc(32, 2);

test('a proof is of one key, one node and one challenge', () => {
  const proof = proofOf(key, 'node-1', challenge).toString('hex');
  assert.equal(proof, proofOf(key, 'node-1', challenge).toString('hex'));
  assert.notEqual(proof, proofOf(Buffer.alloc(32, 3), 'node-1', challenge).toString('hex'));
  assert.notEqual(proof, proofOf(key, 'node-2', challenge).toString('hex'));
  assert.notEqual(proof, proofOf(key, 'node-1', Buffer.alloc(32, 4)).toString('hex'));
});

test('a name leads to no other folder', () => {
  for (const name of ['node-1', 'a.example']) assert.match(name, NODE_NAME);
  for (const name of ['', '..', '../key', 'a/b', '.hidden', 'A']) assert.doesNotMatch(name, NODE_NAME);
});

test('a key is long enough', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keys-'));
  try {
    await writeFile(join(folder, 'good'), key);
    await writeFile(join(folder, 'short'), 'password');
    assert.equal((await readKey(join(folder, 'good'))).length, 32);
    await assert.rejects(readKey(join(folder, 'short')), { code: 'FILE_UNUSABLE' });
    await assert.rejects(readKey(join(folder, 'absent')), { code: 'FILE_UNUSABLE' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
