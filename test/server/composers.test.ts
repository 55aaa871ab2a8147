import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { decodeUnverifiedJwtSvid, validateJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { Status } from '../../src/spiffe/status.ts';
import { validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encodeName, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { type AgentCaller, apiId, attestByJoinToken, mintedCaller, newCsr } from './callers.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 }); // plugins in two languages

const KEYS = 'KeyManager "memory" {}\n  NodeAttestor "join_token" {}';
const inTypeScript = (program: string, ...args: readonly string[]) =>
  `{ plugin_cmd = "${process.execPath}" plugin_args = ${JSON.stringify([`${import.meta.dirname}/../interop/sdk-plugins/${program}.ts`, ...args])} }`;
const issuerOf = (der: Uint8Array | undefined) => formatName(parseCertificate(der ?? new Uint8Array()).issuer);
const subjectOf = (der: Uint8Array | undefined) => formatName(parseCertificate(der ?? new Uint8Array()).subject);

/** The certificate of whoever answers at a port. */
async function shownBy(port: number): Promise<Uint8Array | undefined> {
  const socket = connect({ host: '127.0.0.1', port, ALPNProtocols: ['h2'], rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const shown = socket.getPeerX509Certificate()?.raw;
  socket.destroy();
  return shown;
}

describeWithGo('two credential composers, in TypeScript and then in Go', () => {
  const resources = new AsyncDisposableStack();
  let server: TestServer;
  let agent: AgentCaller;

  beforeAll(async () => {
    const folder = resources.use(await createTemporaryFolder());
    const go = await goPlugin('naming-composer');
    server = resources.use(
      await TestServer.start({
        folder: folder.path,
        settings: 'jwt_issuer = "https://issuer.example"',
        plugins: `${KEYS}
  CredentialComposer "one" ${inTypeScript('naming-composer', 'one')}
  CredentialComposer "two" { plugin_cmd = "${go}" plugin_args = ["two"] }`,
      }),
    );
    agent = resources.use(await attestByJoinToken(server));
  });
  afterAll(() => resources.disposeAsync());

  const mint = async (names: Parameters<typeof newCsr>[0] = {}) => {
    const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'], ...names });
    const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
    return validateX509Svid(svid?.certChain ?? [], server.running.bundle, new Date()).leaf;
  };

  test('have their say in the CA of the server', () => {
    const [root] = server.running.bundle.x509Authorities;
    const { subject, extensions } = parseCertificate(root?.certificate ?? new Uint8Array());
    expect(formatName(subject)).toMatch(/^SERIALNUMBER=\d+,OU=one\+OU=two,O=SPIFFE,C=US$/);
    expect(extensions.get(OID.certificatePolicies)?.isCritical).toBe(false);
    expect(extensions.get('1.3.6.1.4.1.32473.1')?.value).toEqual(Uint8Array.of(0x0c, 0x02, 0x68, 0x69));
  });

  test('and in the SVIDs of the server and of agents', async () => {
    expect(subjectOf(agent.svid.certChain[0])).toBe('OU=one+OU=two,O=SPIRE,C=US');
    expect(subjectOf(await shownBy(server.running.port))).toBe('OU=one+OU=two,O=SPIRE,C=US');
  });

  test('and in those of workloads: subject, DNS names, extensions', async () => {
    const leaf = await mint({ dnsNames: ['web'] });
    expect(formatName(leaf.subject)).toMatch(/^UID=spiffe:\/\/example.org\/web,CN=web,OU=one\+OU=two,O=SPIRE,C=US$/);
    expect(leaf.dnsNames).toEqual(['web', 'one.example.org', 'two.example.org']);
    expect(leaf.uriNames).toEqual(['spiffe://example.org/web']);
    expect(leaf.extensions.has('1.3.6.1.4.1.32473.1')).toBe(true);
  });

  test('what a CSR asks for as its subject is what they begin with', async () => {
    const subject = encodeName({ country: ['DE', 'FR'], organization: 'Asked' }, [{ oid: OID.title, value: 'Dr' }]);
    const leaf = await mint({ subject });
    expect(formatName(leaf.subject)).toBe(
      'UID=spiffe://example.org/web,2.5.4.12=#13024472,OU=one+OU=two,O=Asked,C=DE+C=FR',
    );
  });

  test('and in JWT-SVIDs, whose own claims stay', async () => {
    const { svid } = await server
      .admin(SVIDDefinition)
      .mintJWTSVID({ id: apiId('/web'), audience: ['a', 'b'], ttl: 60 });
    const { claims } = validateJwtSvid(svid?.token ?? '', 'a', () => server.running.bundle, new Date());
    expect(claims).toMatchObject({
      sub: 'spiffe://example.org/web',
      aud: ['a', 'b'],
      iss: 'https://issuer.example',
      names: ['one', 'two'],
      exp: Number(svid?.expiresAt),
      iat: Number(svid?.issuedAt),
    });
  });

  test('and in the CA of a server below', async () => {
    const entry = Entry.fromPartial({
      spiffeId: apiId('/below'),
      parentId: apiId('/node'),
      selectors: [{ type: 'unix', value: 'uid:0' }],
      downstream: true,
    });
    await server.admin(EntryDefinition).batchCreateEntry({ entries: [entry], outputMask: undefined });
    using below = await mintedCaller(server, '/below');
    const { csr } = await newCsr();
    const { caCertChain } = await below.client(SVIDDefinition).newDownstreamX509CA({ csr, preferredTtl: 0 });
    expect(subjectOf(caCertChain[0])).toMatch(/OU=one\+OU=two\+OU=DOWNSTREAM-1/);
    expect(issuerOf(caCertChain[0])).toMatch(/OU=one\+OU=two/);
  });
});

describe('a composer that spoils what it is given', () => {
  const resources = new AsyncDisposableStack();
  let server: TestServer;
  beforeAll(async () => {
    const folder = resources.use(await createTemporaryFolder());
    const plugins = `${KEYS}\n  CredentialComposer "bad" ${inTypeScript('spoiling-composer')}`;
    server = resources.use(await TestServer.start({ folder: folder.path, plugins }));
  });
  afterAll(() => resources.disposeAsync());

  const refused = (message: RegExp) => ({
    status: Status.Internal,
    message: expect.stringMatching(
      new RegExp(`the credential composer "bad" refuses, or answers what cannot be used: .*(?:${message.source})`),
    ),
  });

  test.each([
    ['san', /the extension 2.5.29.17 is the server's own to write/],
    ['ca', /the extension 2.5.29.19 is the server's own to write/],
    ['usage', /the extension 2.5.29.15 is the server's own to write/],
    ['twice', /the extension 1.3.6.1.4.1.32473.1 is there twice/],
    ['huge', /has 5000 bytes, more than 4096/],
    ['many', /there are 40 extensions, more than 32/],
    ['dns', /DNS name .*has the label/],
    ['many-dns', /there are 200 DNS names, more than 100/],
    ['long-name', /commonName .* has 65 characters/],
    ['empty-name', /organization .* has 0 characters/],
    ['many-names', /attributes of the subject, more than 64/],
    ['long-other', /has 300 characters, not 1 to 256/],
    ['deny', /credentialcomposer\(bad\): not for you/],
  ])('gets no X.509-SVID signed: %s', async (path, message) => {
    const { csr } = await newCsr({ uriNames: [`spiffe://example.org/${path}`] });
    await expect(server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 })).rejects.toMatchObject(refused(message));
  });

  test.each([
    ['other-subject', /the subject is .*spiffe:\/\/example.org\/admin.*, not spiffe:\/\/example.org\/other-subject/],
    ['no-subject', /the subject is .*missing/],
    ['other-audience', /the audience is .*everybody/],
    ['more-audience', /the audience is/],
    ['no-expiry', /the expiry is .*missing.*, which is no time/],
    ['late-expiry', /is later than \d+, which it may not be/],
    ['fraction', /the expiry is .*\.5.*, which is no time/],
    ['early-expiry', /is no later than the time of issue/],
    ['other-issue', /the time of issue is/],
    ['huge-claims', /the claims have \d+ characters, more than 16384/],
    ['deny', /credentialcomposer\(bad\): not for you/],
  ])('gets no JWT-SVID signed: %s', async (path, message) => {
    const request = { id: apiId(`/${path}`), audience: ['a'], ttl: 60 };
    await expect(server.admin(SVIDDefinition).mintJWTSVID(request)).rejects.toMatchObject(refused(message));
  });

  test('may let a token end sooner', async () => {
    const { svid } = await server
      .admin(SVIDDefinition)
      .mintJWTSVID({ id: apiId('/sooner'), audience: ['a'], ttl: 600 });
    const { expiresAt } = decodeUnverifiedJwtSvid(svid?.token ?? '');
    expect(expiresAt.getTime() / 1000).toBe(Number(svid?.expiresAt));
    expect(Number(svid?.expiresAt) - Number(svid?.issuedAt)).toBe(60);
  });
});

test('a CA that no member of the trust domain would take is not made', async () => {
  await using folder = await createTemporaryFolder();
  const plugins = `${KEYS}\n  CredentialComposer "odd" ${inTypeScript('credential-composer')}`;
  await expect(TestServer.start({ folder: folder.path, plugins })).rejects.toThrow(
    /the credential composer "odd" .*the extension 1.3.6.1.4.1.99999.2 is critical, and nobody in the trust domain would take the certificate/,
  );
});
