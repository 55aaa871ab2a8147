import { createHash } from 'node:crypto';
import { defineCredentialComposer, OID, type SpiffeId, z } from '../../plugin-sdk/index.ts';

/** 128 bits of SHA-256, as SPIRE has it. */
const UNIQUE_ID_BYTES = 16;

/** Gives workloads' X.509-SVIDs a subject that no other SPIFFE ID has: RFC 5280 §4.1.2.6 wants that of every issuer. */
export const uniqueIdCredentialComposer = defineCredentialComposer({
  name: 'uniqueid',
  config: z.strictObject({}),
  configure: () => undefined,
  async composeWorkloadX509Svid({ spiffeId }, attributes) {
    const { subject } = attributes;
    const others = (subject.extraNames ?? []).filter(({ oid }) => oid !== OID.x500UniqueIdentifier);
    const uniqueId = { oid: OID.x500UniqueIdentifier, value: uniqueIdOf(spiffeId) };
    return { ...attributes, subject: { ...subject, extraNames: [...others, uniqueId] } };
  },
});

/** In lower case hex. */
function uniqueIdOf(spiffeId: SpiffeId): string {
  return createHash('sha256').update(spiffeId).digest().subarray(0, UNIQUE_ID_BYTES).toString('hex');
}
