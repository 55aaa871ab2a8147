import { z } from 'zod';
import { defineCredentialComposer, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';
import { digest } from './describe.ts';

// A credential composer. The path of the SPIFFE ID says what it does to a workload's credentials; it has nothing to say
// of an agent's, and leaves the server's SVID as it is.
await servePlugin(
  defineCredentialComposer({
    name: 'credential-composer',
    config: z.strictObject({}),
    configure: () => undefined,
    composeServerX509Ca: async ({ subject, policyIdentifiers, extraExtensions }) => ({
      subject: {
        ...subject,
        organizationalUnit: [...[subject.organizationalUnit ?? []].flat(), 'composed'],
        serialNumber: '42',
        extraNames: [...(subject.extraNames ?? []), { oid: '0.9.2342.19200300.100.1.25', value: 'example' }],
      },
      policyIdentifiers: [...policyIdentifiers, '1.3.6.1.4.1.99999.1'],
      extraExtensions: [
        ...extraExtensions,
        { oid: '1.3.6.1.4.1.99999.2', value: Uint8Array.of(0x05, 0x00), critical: true },
      ],
    }),
    composeServerX509Svid: async () => undefined,
    async composeWorkloadX509Svid({ spiffeId, publicKey }) {
      if (spiffeId.endsWith('/deny')) throw new SpiffeError('PERMISSION_DENIED', 'not for that workload');
      return {
        subject: { commonName: digest(publicKey) },
        dnsNames: ['one.example.org'],
        extraExtensions: spiffeId.endsWith('/bad-oid')
          ? [{ oid: 'not an oid', value: new Uint8Array(), critical: false }]
          : [],
      };
    },
    composeWorkloadJwtSvid: async (_spiffeId, { claims: { unwanted: _, ...claims } }) => ({
      claims: {
        ...claims,
        number: 1.5,
        text: 'x',
        yes: true,
        nothing: null,
        list: [1, 'two', null],
        map: { of: 'it' },
      },
    }),
  }),
);
