import { expect, test } from 'vitest';
import { findOperatorReason, forPeer, refusalWith } from '../../src/rpc/operator-reason.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';

const refusal = refusalWith('ATTESTATION_DENIED', 'no policy holds', 'policy "a": event 7 is wrong');
const other = { typeUrl: 'type.googleapis.com/x', value: Uint8Array.of(1) };

test('a reason for the operator goes with the refusal, and not to the peer', () => {
  expect(findOperatorReason(refusal)).toBe('policy "a": event 7 is wrong');
  const remote = new RemoteError(Status.PermissionDenied, 'no policy holds', [other, ...refusal.details]);
  for (const error of [refusal, remote]) {
    const shown = forPeer(error) as SpiffeError | RemoteError;
    expect(findOperatorReason(shown)).toBeUndefined();
    expect(shown).toMatchObject({ message: 'no policy holds', status: Status.PermissionDenied });
  }
  expect((forPeer(remote) as RemoteError).details).toEqual([other]);
});

test('what has no such reason stays what it is', () => {
  const plain = new SpiffeError('INTERNAL', 'x', { details: [other] });
  expect(forPeer(plain)).toBe(plain);
  expect(findOperatorReason(new Error('x'))).toBeUndefined();
  const broken = [{ ...refusal.details[0], value: Uint8Array.of(0xff) } as typeof other];
  expect(findOperatorReason(new SpiffeError('INTERNAL', 'x', { details: broken }))).toBeUndefined();
});

test('a long reason is cut, so that it fits in a header', () => {
  const long = refusalWith('ATTESTATION_DENIED', 'x', 'é'.repeat(5000));
  expect(Buffer.byteLength(findOperatorReason(long) ?? '')).toBeLessThan(1600);
});
