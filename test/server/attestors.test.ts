import { expect, test } from 'vitest';
import type { ServerNodeAttestor } from '../../src/plugin-host/kinds/server-node-attestor.ts';
import { Attestors } from '../../src/server/attestation/attestors.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const attestWith = (name: string, spiffeId: string) => {
  const attestor: ServerNodeAttestor = {
    configuration: '',
    name,
    attest: async () => ({ spiffeId: parseSpiffeId(spiffeId), selectors: [], canReattest: true }),
  };
  return new Attestors({
    trustDomain: parseTrustDomain('example.org'),
    plugins: new Map([[name, attestor]]),
  }).attest({
    type: name,
    payload: Uint8Array.of(1),
    csrPublicKey: new Uint8Array(),
    challenge: async () => new Uint8Array(),
    signal: new AbortController().signal,
  });
};

test('an attestor names agents of its own', async () => {
  const spiffeId = 'spiffe://example.org/spire/agent/x509pop/a/b';
  await expect(attestWith('x509pop', spiffeId)).resolves.toMatchObject({ spiffeId });
});

test.each([
  ['of another attestor', 'spiffe://example.org/spire/agent/tpm/abc'],
  ['of one whose name begins alike', 'spiffe://example.org/spire/agent/x509pop2/a'],
  ['of join tokens', 'spiffe://example.org/spire/agent/join_token/abc'],
  ['of another trust domain', 'spiffe://example.com/spire/agent/x509pop/a'],
  ['that is its own name alone', 'spiffe://example.org/spire/agent/x509pop'],
  ['of the server', 'spiffe://example.org/spire/server'],
  ['of a workload', 'spiffe://example.org/x509pop/a'],
])('but none %s', async (_whose, spiffeId) => {
  await expect(attestWith('x509pop', spiffeId)).rejects.toMatchObject({
    code: 'PLUGIN_PROTOCOL',
    message: expect.stringContaining('"spiffe://example.org/spire/agent/x509pop/"'),
  });
});
