import { describe, expect, test } from 'vitest';
import { tpmAgentConfig } from '../../src/plugins/tpm/agent-config.ts';
import { attestTpm, type TpmAgentAttributes, type TpmAttestorState } from '../../src/plugins/tpm/attest.ts';
import { tpmServerConfig } from '../../src/plugins/tpm/config.ts';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { NO_POLICIES } from '../../src/plugins/tpm/policies.ts';
import { aidTpmAttestation } from '../../src/plugins/tpm/prove.ts';
import { Slots } from '../../src/plugins/tpm/slots.ts';
import { Swtpm } from '../../src/testing/swtpm.ts';
import { readEkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { deniedBy } from '../harness/denied.ts';
import { csrKey, TRUST_DOMAIN } from './tpm-server-fixture.ts';

async function stateFor(config: Readonly<Record<string, unknown>>): Promise<TpmAttestorState> {
  const parsed = tpmServerConfig.parse(config);
  return {
    config: parsed,
    trust: await readEkTrustStore(parsed),
    memory: new EkMemory(),
    policies: NO_POLICIES,
    slots: new Slots(1),
  };
}

/** Both halves, without a host between them. */
async function attest(
  tpm: Swtpm,
  ek: string,
  state: TpmAttestorState,
  serverKey = csrKey(),
): Promise<TpmAgentAttributes> {
  const agent = aidTpmAttestation(tpmAgentConfig.parse({ tcti: tpm.tcti, ek_algorithm: ek }), KEY);
  const payload = await agent.next();
  const context = { trustDomain: TRUST_DOMAIN, csrPublicKey: serverKey, now: () => new Date() };
  try {
    const server = attestTpm(payload.value ?? new Uint8Array(0), state, context);
    const challenge = await server.next();
    const answer = await agent.next(challenge.done === true ? new Uint8Array(0) : challenge.value);
    const verdict = await server.next(answer.value ?? new Uint8Array(0));
    if (verdict.done !== true) throw new RangeError('a second challenge');
    return verdict.value;
  } finally {
    await agent.return();
  }
}

const KEY = csrKey();

describe.each(['rsa-2048', 'ec-p256', 'ec-p384'] as const)(
  'a TPM with a certificate for its %s endorsement key',
  (ek) => {
    test('is admitted by its chain, by its hash alone, and for its own CSR key only', { timeout: 60_000 }, async () => {
      await using tpm = await Swtpm.start({ ek: [ek] });
      await tpm.tools('tpm2_pcrextend', `0:sha256=${'5a'.repeat(32)}`);
      const byChain = await attest(tpm, ek, await stateFor({ ca_path: tpm.caPath }), KEY);
      expect(byChain.selectorValues).toEqual(
        expect.arrayContaining(['ek:virtual', 'manufacturer:id:00001014', 'model:swtpm', 'csr:bound']),
      );
      expect(byChain.selectorValues.filter((text) => text.startsWith('pcr:sha256:'))).toHaveLength(8);
      expect(byChain.selectorValues.filter((text) => text.startsWith('ca:fingerprint:'))).toHaveLength(2);

      const pubHash = byChain.spiffeId.split('/').at(-1) ?? '';
      const hashPath = await tpm.write('hashes', Buffer.from(`${pubHash}\n`));
      const byHash = await attest(tpm, ek, await stateFor({ hash_path: hashPath }), KEY);
      expect(byHash.spiffeId).toBe(byChain.spiffeId);

      const state = await stateFor({ ca_path: tpm.caPath });
      await expect(attest(tpm, ek, state, csrKey())).rejects.toEqual(deniedBy('C20'));
    });
  },
);

test('a TPM certified by another CA is refused, and so is one that is unmeasured where PCRs matter', {
  timeout: 60_000,
}, async () => {
  await using tpm = await Swtpm.start({ ek: ['rsa-2048'] });
  await using other = await Swtpm.start({ ek: ['rsa-2048'] });
  const stranger = attest(tpm, 'auto', await stateFor({ ca_path: other.caPath }), KEY);
  await expect(stranger).rejects.toEqual(deniedBy('A2'));
  const unmeasured = attest(tpm, 'auto', await stateFor({ ca_path: tpm.caPath, pcrs: [0, 7] }), KEY);
  await expect(unmeasured).rejects.toEqual(deniedBy('C23'));
  const tolerated = await attest(tpm, 'auto', await stateFor({ ca_path: tpm.caPath }), KEY);
  expect(tolerated.selectorValues.some((text) => text.startsWith('pcr:'))).toBe(false);
});
