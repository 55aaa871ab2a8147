import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { tokenEnd } from '../../src/agent/workloads/token-end.ts';
import { signJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const now = NOW.getTime() / 1000;
const MONTH = 31 * 24 * 3_600;
const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const token = (exp: number) =>
  signJwtSvid({ sub: parseSpiffeId('spiffe://example.org/a'), aud: ['a'], exp }, 'k', signer);

test.each([
  ['both say the same', now + 60, now + 60, now + 60],
  ['the server says less', now + 30, now + 60, now + 30],
  ['the token says less', now + 60, now + 30, now + 30],
  ['the server says 2^53', 2 ** 53, now + 60, now + 60],
  ['the server says the most there is', 2 ** 63, now + 60, now + 60],
  ['both say more than a month', 2 ** 63, 8e12, now + MONTH],
  ['the server says less than nothing', -(2 ** 63), now + 60, 0],
])('where %s', async (_what, said, exp, end) => {
  const bounded = BigInt.asIntN(64, said === 2 ** 63 ? 2n ** 63n - 1n : BigInt(said));
  expect(tokenEnd(bounded, await token(exp), NOW).getTime() / 1000).toBe(end);
});

test('what is no token has no end', async () => {
  expect(() => tokenEnd(1n, 'token', NOW)).toThrow(expect.objectContaining({ code: 'SVID_INVALID' }));
});
