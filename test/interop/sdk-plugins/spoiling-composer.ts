import { z } from 'zod';
import {
  defineCredentialComposer,
  type JwtSvidAttributes,
  SpiffeError,
  servePlugin,
  type X509SvidAttributes,
} from '../../../src/plugin-sdk/index.ts';

// A credential composer that the path of a SPIFFE ID tells how to spoil the workload's credential.

const extension = (oid: string, size = 2) => ({ oid, value: new Uint8Array(size), critical: false });
const times = <Value>(count: number, value: (index: number) => Value) =>
  Array.from({ length: count }, (_, i) => value(i));

const X509: Readonly<Record<string, (given: X509SvidAttributes) => Partial<X509SvidAttributes>>> = {
  san: () => ({ extraExtensions: [extension('2.5.29.17')] }),
  ca: () => ({ extraExtensions: [extension('2.5.29.19')] }),
  usage: () => ({ extraExtensions: [extension('2.5.29.15')] }),
  twice: () => ({ extraExtensions: times(2, () => extension('1.3.6.1.4.1.32473.1')) }),
  huge: () => ({ extraExtensions: [extension('1.3.6.1.4.1.32473.1', 5000)] }),
  many: () => ({ extraExtensions: times(40, (index) => extension(`1.3.6.1.4.1.32473.${index}`)) }),
  dns: () => ({ dnsNames: ['not a name'] }),
  'many-dns': () => ({ dnsNames: times(200, (index) => `host-${index}.example.org`) }),
  'long-name': () => ({ subject: { commonName: 'x'.repeat(65) } }),
  'empty-name': () => ({ subject: { organization: [''] } }),
  'many-names': () => ({ subject: { organizationalUnit: times(65, String) } }),
  'long-other': () => ({ subject: { extraNames: [{ oid: '2.5.4.12', value: 'x'.repeat(300) }] } }),
};

const JWT: Readonly<Record<string, (given: JwtSvidAttributes['claims']) => Record<string, unknown>>> = {
  'other-subject': () => ({ sub: 'spiffe://example.org/admin' }),
  'no-subject': () => ({ sub: undefined }),
  'other-audience': () => ({ aud: ['everybody'] }),
  'more-audience': () => ({ aud: ['a', 'everybody'] }),
  'no-expiry': () => ({ exp: undefined }),
  'late-expiry': ({ exp }) => ({ exp: Number(exp) + 1 }),
  fraction: ({ exp }) => ({ exp: Number(exp) - 0.5 }),
  'early-expiry': ({ iat }) => ({ exp: iat }),
  'other-issue': () => ({ iat: 1 }),
  'huge-claims': () => ({ text: 'x'.repeat(17_000) }),
  sooner: ({ iat }) => ({ exp: Number(iat) + 60 }),
};

function requireAllowed(name: string): void {
  if (name === 'deny') throw new SpiffeError('PERMISSION_DENIED', 'not for you');
}

const nameIn = (spiffeId: string) => spiffeId.replace('spiffe://example.org/', '');

await servePlugin(
  defineCredentialComposer({
    name: 'spoiling-composer',
    config: z.strictObject({}),
    configure: () => undefined,
    async composeWorkloadX509Svid({ spiffeId }, given) {
      requireAllowed(nameIn(spiffeId));
      return { ...given, ...X509[nameIn(spiffeId)]?.(given) };
    },
    async composeWorkloadJwtSvid(spiffeId, { claims }) {
      requireAllowed(nameIn(spiffeId));
      return { claims: { ...claims, ...JWT[nameIn(spiffeId)]?.(claims) } };
    },
  }),
);
