import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attestDevid, type DevidAttestorState } from '../../src/plugins/tpm-devid/attest.ts';
import { requireDevidCertificate } from '../../src/plugins/tpm-devid/devid-certificate.ts';
import {
  decodeDevidChallenge,
  decodeDevidPayload,
  decodeDevidResponse,
  encodeDevidPayload,
  encodeDevidResponse,
} from '../../src/plugins/tpm-devid/messages.ts';
import { devidServerConfig } from '../../src/plugins/tpm-devid/server-config.ts';
import { readDevidTrustStore } from '../../src/plugins/tpm-devid/trust-store.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

// What passed between halves of ours and halves of SPIRE: test/vectors/tpm-devid/SOURCE.

const folder = join(import.meta.dirname, '..', 'vectors', 'tpm-devid');
const KINDS = ['rsa', 'ecdsa'] as const;

interface Recording {
  readonly csr_public_key: string;
  readonly messages: Readonly<Record<'payload' | 'challenge' | 'response', string>>;
  readonly draws: { readonly random: readonly string[]; readonly times: readonly string[] };
  readonly recorded_at: string;
  readonly verdict: { readonly spiffe_id: string; readonly selector_values: readonly string[] };
}

const readRecording = (name: string): Recording => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

async function stateOf(kind: (typeof KINDS)[number]): Promise<DevidAttestorState> {
  const config = devidServerConfig.parse({
    devid_ca_path: join(folder, `${kind}-devid-ca.pem`),
    endorsement_ca_path: join(folder, 'endorsement-ca.pem'),
  });
  return { config, trust: await readDevidTrustStore(config) };
}

test.each(KINDS)(
  'an agent of SPIRE with a DevID key of type %s is admitted again, on what was drawn then',
  async (kind) => {
    const { messages, draws, verdict, csr_public_key } = readRecording(`spire-agent-${kind}`);
    const random = draws.random.map(bytesOf);
    const times = draws.times.map((time) => new Date(time));
    const server = attestDevid(bytesOf(messages.payload), await stateOf(kind), {
      trustDomain: parseTrustDomain('example.org'),
      csrPublicKey: bytesOf(csr_public_key),
      now: () => times.shift() ?? new Date(Number.NaN),
      randomBytes: () => random.shift() ?? new Uint8Array(0),
    });
    expect(Buffer.from((await server.next()).value as Uint8Array).toString()).toBe(
      Buffer.from(bytesOf(messages.challenge)).toString(),
    );
    const { value } = await server.next(bytesOf(messages.response));
    expect(value).toEqual({
      spiffeId: verdict.spiffe_id,
      selectorValues: verdict.selector_values,
      canReattest: true,
    });
  },
);

test.each(KINDS)(
  'a server of SPIRE gives a DevID key of type %s the ID and the selectors that ours gives',
  async (kind) => {
    const { messages, verdict, recorded_at } = readRecording(`spire-server-${kind}`);
    const { trust } = await stateOf(kind);
    const { devidCertificates } = decodeDevidPayload(bytesOf(messages.payload));
    const devid = requireDevidCertificate(devidCertificates, trust, new Date(recorded_at));
    expect(devid.selectorValues).toEqual(verdict.selector_values);
    expect(`spiffe://example.org/spire/agent/tpm_devid/${devid.fingerprint}`).toBe(verdict.spiffe_id);
  },
);

test.each(KINDS)('messages of SPIRE are read and written byte by byte as it does (%s)', (kind) => {
  const ofAgent = readRecording(`spire-agent-${kind}`).messages;
  const ofServer = readRecording(`spire-server-${kind}`).messages;
  expect(Buffer.from(encodeDevidPayload(decodeDevidPayload(bytesOf(ofAgent.payload)))).toString('base64')).toBe(
    ofAgent.payload,
  );
  expect(Buffer.from(encodeDevidResponse(decodeDevidResponse(bytesOf(ofAgent.response)))).toString('base64')).toBe(
    ofAgent.response,
  );
  const { devidNonce, bindingNonce } = decodeDevidChallenge(bytesOf(ofServer.challenge));
  expect(devidNonce).toHaveLength(32);
  expect(bindingNonce).toBeUndefined();
});
