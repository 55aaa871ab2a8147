import { z } from 'zod';
import { type CredentialSubject, defineCredentialComposer, servePlugin } from '../../../src/plugin-sdk/index.ts';

// A credential composer that leaves its name, the first argument, in every credential: whoever comes after it adds theirs.

const name = process.argv[2] ?? 'typescript';
const EXTENSION = { oid: '1.3.6.1.4.1.32473.1', value: Uint8Array.of(0x0c, 0x02, 0x68, 0x69), critical: false }; // RFC 5612: for examples
const named = (subject: CredentialSubject): CredentialSubject => ({
  ...subject,
  organizationalUnit: [...[subject.organizationalUnit ?? []].flat(), name],
});

await servePlugin(
  defineCredentialComposer({
    name: 'naming-composer',
    config: z.strictObject({}),
    configure: () => undefined,
    composeServerX509Ca: async (attributes) => ({
      subject: named(attributes.subject),
      policyIdentifiers: [...attributes.policyIdentifiers, '1.3.6.1.4.1.32473.7'],
      extraExtensions: [...attributes.extraExtensions, EXTENSION],
    }),
    composeServerX509Svid: async (attributes) => ({ ...attributes, subject: named(attributes.subject) }),
    composeAgentX509Svid: async (_of, attributes) => ({ ...attributes, subject: named(attributes.subject) }),
    composeWorkloadX509Svid: async ({ spiffeId }, attributes) => ({
      subject: {
        ...named(attributes.subject),
        extraNames: [...(attributes.subject.extraNames ?? []), { oid: '0.9.2342.19200300.100.1.1', value: spiffeId }],
      },
      dnsNames: [...attributes.dnsNames, `${name}.example.org`],
      extraExtensions: [...attributes.extraExtensions, EXTENSION],
    }),
    composeWorkloadJwtSvid: async (_spiffeId, { claims }) => ({
      claims: { ...claims, names: [...[claims.names ?? []].flat(), name] },
    }),
  }),
);
