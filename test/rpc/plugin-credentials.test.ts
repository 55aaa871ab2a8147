import { describe, expect, test } from 'vitest';
import { fromWireX509SvidAttributes } from '../../src/rpc/plugin-credentials.ts';

describe('attributes of credentials (plugin-wire §8.7)', () => {
  const name = {
    ...{ country: [], organization: [], organizationalUnit: [], locality: [], province: [], streetAddress: [] },
    ...{ postalCode: [], serialNumber: '', commonName: '', extraNames: [] },
  };

  test('a name has no attribute without a value', () => {
    expect(fromWireX509SvidAttributes({ subject: name, dnsSans: [], extraExtensions: [] })).toEqual({
      subject: {},
      dnsNames: [],
      extraExtensions: [],
    });
  });

  test.each([
    ['1', /"1" is not an OID/],
    ['3.1', /"3.1" is not an OID/],
    [`1.2${'.3'.repeat(200)}`, /has 403 characters, more than 200/],
  ])('the OID %s is refused', (oid, message) => {
    const extraNames = [{ oid, stringValue: 'x' }];
    expect(() =>
      fromWireX509SvidAttributes({ subject: { ...name, extraNames }, dnsSans: [], extraExtensions: [] }),
    ).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }));
  });
});
