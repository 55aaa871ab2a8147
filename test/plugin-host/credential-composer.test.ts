import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { CredentialComposer } from '../../src/plugin-host/kinds/credential-composer.ts';
import type { X509CaAttributes, X509SvidAttributes } from '../../src/spiffe/credential-attributes.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { digest } from '../interop/sdk-plugins/describe.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadServer, requireLoaded } from './implementations.ts';

const EXTENSION = { oid: '2.5.29.99', value: new Uint8Array([0x05, 0x00]), critical: false };

const CA: X509CaAttributes = {
  subject: {
    country: ['US', 'DE'],
    organization: 'one',
    organizationalUnit: ['two'],
    locality: ['three'],
    province: ['four'],
    streetAddress: ['five'],
    postalCode: ['six'],
    commonName: 'seven',
    extraNames: [{ oid: '2.5.4.12', value: 'eight' }],
  },
  policyIdentifiers: ['2.5.29.32.0'],
  extraExtensions: [EXTENSION],
};

const SVID: X509SvidAttributes = {
  subject: { country: ['US'], organization: ['SPIRE'], serialNumber: '7' },
  dnsNames: ['web.example.org'],
  extraExtensions: [EXTENSION],
};

describePlugins('a credential composer', (implementation) => {
  const { signal } = new AbortController();
  const publicKey = Buffer.from('a public key');
  const of = (path: string) => ({ spiffeId: parseSpiffeId(`spiffe://example.org${path}`), publicKey });
  let catalog: PluginCatalog;
  let composer: CredentialComposer;
  beforeAll(async () => {
    const plugin = await implementation.plugin('credential-composer');
    catalog = await loadServer(new TestHost(), [
      pluginConfig({ type: 'CredentialComposer', name: 'style', ...plugin }),
    ]);
    composer = requireLoaded(catalog.credentialComposers[0]);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

  test('sees all attributes of a CA and changes any (§8.7)', async () => {
    expect(await composer.composeServerX509Ca(CA, signal)).toEqual({
      subject: {
        ...CA.subject,
        organization: ['one'],
        organizationalUnit: ['two', 'composed'],
        serialNumber: '42',
        extraNames: [
          { oid: '2.5.4.12', value: 'eight' },
          { oid: '0.9.2342.19200300.100.1.25', value: 'example' },
        ],
      },
      policyIdentifiers: ['2.5.29.32.0', '1.3.6.1.4.1.99999.1'],
      extraExtensions: [EXTENSION, { ...EXTENSION, oid: '1.3.6.1.4.1.99999.2', critical: true }],
    });
  });

  test('an answer without attributes keeps them (§8.7)', async () => {
    expect(await composer.composeServerX509Svid(SVID, signal)).toBe(SVID);
  });

  test('a method that is not there keeps them (§8.7)', async () => {
    expect(await composer.composeAgentX509Svid(of('/spire/agent/x'), SVID, signal)).toBe(SVID);
  });

  test('what it answers replaces all that there was (§8.7)', async () => {
    expect(await composer.composeWorkloadX509Svid(of('/web'), SVID, signal)).toEqual({
      subject: { commonName: digest(publicKey) },
      dnsNames: ['one.example.org'],
      extraExtensions: [],
    });
  });

  test('claims are as in JSON, their numbers as floating point (§8.7)', async () => {
    const claims = {
      sub: 'spiffe://example.org/web',
      aud: ['a', 'b'],
      exp: 1_900_000_000,
      unwanted: true,
      absent: undefined,
    };
    const composed = await composer.composeWorkloadJwtSvid(of('/web').spiffeId, { claims }, signal);
    expect(composed).toEqual({
      claims: {
        sub: claims.sub,
        aud: claims.aud,
        exp: claims.exp,
        number: 1.5,
        text: 'x',
        yes: true,
        nothing: null,
        list: [1, 'two', null],
        map: { of: 'it' },
      },
    });
    expect(Object.keys(composed.claims)).not.toContain('absent');
  });

  test('a refusal has its code and the prefix (§9)', async () => {
    await expect(composer.composeWorkloadX509Svid(of('/deny'), SVID, signal)).rejects.toMatchObject({
      status: Status.PermissionDenied,
      message: 'credentialcomposer(style): not for that workload',
    });
  });

  test('an OID that is none is an internal error', async () => {
    await expect(composer.composeWorkloadX509Svid(of('/bad-oid'), SVID, signal)).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(/^credentialcomposer\(style\): .*"not an oid" is not an OID$/),
    });
  });

  test('one whose process was killed has its say once it runs again', async () => {
    const pidOf = () => requireLoaded(catalog.plugins.find(({ name }) => name === 'style')?.pid);
    const killed = pidOf();
    process.kill(killed, 'SIGKILL');
    const { subject } = await composer.composeWorkloadX509Svid(of('/web'), SVID, signal);
    expect(subject).toEqual({ commonName: digest(publicKey) });
    expect(pidOf()).not.toBe(killed);
  });

  if (implementation.made === 'ours') return; // whose types do not let these through

  test('attributes without a subject are an internal error (§8.7)', async () => {
    await expect(composer.composeWorkloadX509Svid(of('/no-subject'), SVID, signal)).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(/the subject is missing$/),
    });
  });

  test('attributes without claims are an internal error', async () => {
    const composing = composer.composeWorkloadJwtSvid(of('/no-claims').spiffeId, { claims: { exp: 1 } }, signal);
    await expect(composing).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(/the claims are missing$/),
    });
  });
});
