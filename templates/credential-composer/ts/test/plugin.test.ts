import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeJwt, composeX509 } from '../src/plugin.ts';

test('an X.509-SVID gets the organization, and keeps all else', () => {
  const given = { subject: { commonName: 'web', organization: 'SPIRE' }, dnsNames: ['web'], extraExtensions: [] };
  assert.deepEqual(composeX509(given, 'Example'), {
    ...given,
    subject: { commonName: 'web', organization: 'Example' },
  });
});

test('a JWT-SVID gets the claim, and keeps all else', () => {
  assert.deepEqual(composeJwt({ claims: { sub: 'x' } }, 'Example'), { claims: { sub: 'x', org: 'Example' } });
});
