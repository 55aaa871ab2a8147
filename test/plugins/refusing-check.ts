import { expect } from 'vitest';
import { findOperatorReason } from '../../src/rpc/operator-reason.ts';
import { messageOf } from '../../src/spiffe/error.ts';
import { type Attestation, attest } from './tpm-server-fixture.ts';

const NUMBER = /\(check ([A-Z]\d+)\)/;

/**
 * The number of the check that refuses an attestation. Where no policy holds the node is not told it, and the first that the
 * operator is told counts.
 */
export async function refusingCheck(attestation: Attestation): Promise<string | undefined> {
  const error = await attest(attestation).then(
    () => expect.unreachable('admitted'),
    (refusal: unknown) => refusal,
  );
  expect(error).toMatchObject({ code: 'ATTESTATION_DENIED' });
  const [found] = [messageOf(error), findOperatorReason(error) ?? ''].flatMap((text) => NUMBER.exec(text)?.[1] ?? []);
  return found;
}
