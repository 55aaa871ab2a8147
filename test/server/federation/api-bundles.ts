import { Bundle } from '../../../src/gen/spire/api/types/types.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';

/** Two authorities of one trust domain. */
export const authority = await TestAuthority.create('a.test');
export const other = await TestAuthority.create('a.test', 'Other');

export const x509 = (...authorities: readonly TestAuthority[]) =>
  authorities.map(({ certificate }) => ({ asn1: Buffer.from(certificate.der), tainted: false }));

export const bundleOf = (trustDomain: string, fields: Partial<Bundle> = {}) =>
  Bundle.fromPartial({
    trustDomain,
    x509Authorities: x509(authority),
    refreshHint: 60n,
    sequenceNumber: 1n,
    ...fields,
  });

/** Code and message of each item of a batch. */
export const statuses = ({
  results,
}: {
  results: readonly { status: { code: number; message: string } | undefined }[];
}) => results.map(({ status }) => [status?.code, status?.message]);
