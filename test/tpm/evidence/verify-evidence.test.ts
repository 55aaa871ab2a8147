import { expect, test } from 'vitest';
import type { RecordedEvidence } from '../../../src/tpm/evidence/recorded-evidence.ts';
import { verifyEvidence } from '../../../src/tpm/evidence/verify-evidence.ts';
import { deniedBy } from '../../harness/denied.ts';
import { MACHINES, type Machine, readPcrVector, readVector } from '../vectors.ts';

const QUOTED = Array.from({ length: 15 }, (_, index) => index);

function captured(machine: Machine): RecordedEvidence {
  const nonce = Buffer.from(Buffer.from(readVector(machine, 'qualifying-data.hex')).toString('ascii').trim(), 'hex');
  return {
    recordedAt: new Date('2026-11-28T00:00:00Z'),
    ekPublic: readVector(machine, 'ek-rsa.tpm2b_public'),
    ekCertificates: [readVector(machine, 'ek-rsa2048.nv.der')],
    akPublic: readVector(machine, 'ak-ecc.tpm2b_public'),
    nonce: Uint8Array.from(nonce),
    quotes: [
      {
        bank: 'sha256',
        pcrs: new Map(QUOTED.map((index) => [index, readPcrVector(machine, 'sha256', index)])),
        quote: readVector(machine, 'quote-ecdsa-sha256bank.attest'),
        signature: readVector(machine, 'quote-ecdsa-sha256bank.sig'),
      },
    ],
  };
}

test.each(MACHINES)('what was captured of %s is taken for its nonce, and C20 refuses it for another', (machine) => {
  const evidence = captured(machine);
  const { nonce } = evidence;
  expect(verifyEvidence(evidence).quotes).toEqual(verifyEvidence(evidence, { nonce }).quotes);
  const other = nonce.with(0, (nonce[0] ?? 0) ^ 1);
  expect(() => verifyEvidence(evidence, { nonce: other })).toThrow(deniedBy('C20'));
  expect(() => verifyEvidence({ ...evidence, nonce: other }, { nonce: other })).toThrow(deniedBy('C20'));
});
