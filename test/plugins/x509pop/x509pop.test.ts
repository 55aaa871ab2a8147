import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { popAgentConfig } from '../../../src/plugins/x509pop/agent-config.ts';
import { loadKeyAndCertificates } from '../../../src/plugins/x509pop/key-and-certificates.ts';
import { popServerConfig } from '../../../src/plugins/x509pop/server-config.ts';
import {
  CA_EXTENSIONS,
  type IssuedCertificate,
  type IssueOptions,
  LEAF_EXTENSIONS,
  OpensslCertificates,
} from '../../harness/openssl-certificates.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { exchangePop, type PopExchange, popState } from './pop-exchange.ts';

// docs/plugins/x509pop.md; certificates are openssl's.

const resources = new AsyncDisposableStack();
const ca = { extensions: CA_EXTENSIONS };
const san = (...names: readonly string[]) => [...LEAF_EXTENSIONS, `subjectAltName=${names.join(',')}`];
const sha1 = (der: Uint8Array) => createHash('sha1').update(der).digest('hex');
const later = (days: number) => async () => new Date(Date.now() + days * 86_400_000);
let folder: TemporaryFolder;
let certificates: OpensslCertificates;
let root: IssuedCertificate;
let intermediate: IssuedCertificate;
let leaf: IssuedCertificate;

const issue = (options: IssueOptions) => certificates.issue({ issuer: 'root', ...options });
const below = (one: IssuedCertificate, more: Partial<PopExchange> = {}): PopExchange => ({
  state: popState({}, [root.certificate]),
  chain: [one.certificate],
  key: one.key,
  ...more,
});

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  certificates = new OpensslCertificates(folder);
  root = certificates.issue({ name: 'root', subject: '/O=Acme/CN=Acme Root', ...ca });
  certificates.issue({ name: 'stranger', ...ca });
  intermediate = issue({ name: 'int', ...ca });
  leaf = issue({ name: 'node-7', subject: '/O=Acme/OU=Rockets/CN=node-7', serial: '0x0a1b2c' });
});
afterAll(() => resources.disposeAsync());

describe('a node with the key of a certificate below a CA', () => {
  const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ec = (namedCurve: string) => () => generateKeyPairSync('ec', { namedCurve }).privateKey;

  test.each<[string, () => KeyObject]>([
    ['RSA', rsa],
    ['P-256', ec('P-256')],
    ['P-384', ec('P-384')],
    ['P-521', ec('P-521')],
  ])('is admitted with %s', async (name, newKey) => {
    const { certificate, key } = issue({ name: `key-${name}`, key: newKey() });
    expect((await exchangePop(below({ ...leaf, certificate, key }))).spiffeId).toBe(
      `spiffe://example.org/spire/agent/x509pop/${sha1(certificate)}`,
    );
  });

  test('has SPIRE’s selectors: its name, every CA of every chain once, its number, and names that are meant to be', async () => {
    const names = [
      'URI:x509pop://example.org/env/prod/eu',
      'URI:x509pop://example.org/rack%20no/7',
      'URI:x509pop://example.org/nothing',
      'URI:x509pop://other.org/env/test',
    ];
    const node = certificates.issue({ name: 'deep', issuer: 'int', serial: '0xabc', extensions: san(...names) });
    const warnings: string[] = [];
    const attributes = await exchangePop(
      below(node, {
        state: popState({}, [root.certificate, intermediate.certificate]),
        chain: [node.certificate, intermediate.certificate],
        context: { warn: (_message, { name = '' }) => warnings.push(name) },
      }),
    );
    expect(attributes).toEqual({
      spiffeId: `spiffe://example.org/spire/agent/x509pop/${sha1(node.certificate)}`,
      selectorValues: [
        'subject:cn:deep',
        `ca:fingerprint:${sha1(intermediate.certificate)}`,
        `ca:fingerprint:${sha1(root.certificate)}`,
        'serialnumber:0abc',
        'san:env:prod/eu',
        'san:rack no:7',
      ],
      canReattest: true,
    });
    expect(warnings).toEqual(['x509pop://example.org/nothing']);
  });

  test.each([
    ['{{ .TrustDomain }}/{{ .Subject.CommonName }}', 'example.org/node-7'],
    ['{{ .SerialNumberHex }}-{{ .SerialNumber }}', '0a1b2c-662316'],
    ['{{ index .Subject.OrganizationalUnit 0 | lower }}', 'rockets'],
    ['{{ index .Issuer.Organization 0 }}{{ len .DNSNames }}', 'Acme0'],
  ])('gets the ID that the template %s makes', async (template, suffix) => {
    const state = popState({ agent_path_template: `/{{ .PluginName }}/${template}` }, [root.certificate]);
    expect((await exchangePop(below(leaf, { state }))).spiffeId).toBe(
      `spiffe://example.org/spire/agent/x509pop/${suffix}`,
    );
  });

  test.each([
    ['IP:192.0.2.7', '192.0.2.7'],
    ['IP:2001:db8::7', '2001:db8:0:0::7'],
    ['IP:192.0.2.7', '::ffff:192.0.2.7'],
  ])('connects from the address %s of its certificate', async (name, forwardedClientIp) => {
    const node = issue({ name: 'addressed', extensions: san('DNS:node', name, 'IP:10.0.0.1') });
    const state = popState({ verify_client_ip: true }, [root.certificate]);
    await expect(exchangePop(below(node, { state, context: { forwardedClientIp } }))).resolves.toBeDefined();
  });
});

describe('a node is refused', () => {
  const denied = (message: RegExp, code = 'ATTESTATION_DENIED') =>
    expect.objectContaining({ code, message: expect.stringMatching(message) });
  const text = (change: (json: string) => string) => (bytes: Uint8Array) =>
    Buffer.from(change(Buffer.from(bytes).toString()));

  test.each<[string, () => PopExchange, RegExp, string?]>([
    [
      'with a certificate of another CA',
      () => below(certificates.issue({ name: 'foreign', issuer: 'stranger' })),
      /is not trusted: no issuer of the certificate "CN=foreign" is known/,
    ],
    [
      'without the intermediate',
      () => below(certificates.issue({ name: 'orphan', issuer: 'int' })),
      /is not trusted: no issuer of the certificate "CN=orphan" is known: it was issued by "CN=int"/,
    ],
    ['with an expired certificate', () => below(leaf, { context: { now: later(31) } }), /is not trusted: .*expired/],
    ['with one of tomorrow', () => below(leaf, { context: { now: later(-1) } }), /is not trusted: .*not valid before/],
    [
      'with a certificate that is not for signatures',
      () => below(issue({ name: 'encipher', extensions: ['keyUsage=keyEncipherment'] })),
      /its key usage has to have digitalSignature/,
    ],
    [
      'with a certificate that says no usage',
      () => below(issue({ name: 'no-usage', extensions: ['basicConstraints=CA:FALSE'] })),
      /its key usage has to have digitalSignature/,
    ],
    [
      'with a key of another kind',
      () => below(issue({ name: 'ed', key: generateKeyPairSync('ed25519').privateKey }), { key: leaf.key }),
      /no proof for a key of type ed25519/,
    ],
    [
      'with a critical extension that nobody knows',
      () => below(issue({ name: 'critical', extensions: [...LEAF_EXTENSIONS, '1.2.3.4=critical,DER:0500'] })),
      /is not trusted: .*1\.2\.3\.4/,
    ],
    ['with the key of another', () => below(leaf, { key: root.key }), /the node does not have it/],
    [
      'with a key larger than is allowed',
      () =>
        below(issue({ name: 'large', key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }), {
          state: popState({ max_rsa_key_size: 2047 }, [root.certificate]),
        }),
      /an RSA key of 2048 bits, "max_rsa_key_size" is 2047/,
    ],
    [
      'with too many intermediates',
      () => below(leaf, { chain: [leaf, root, root, root, root, root].map(({ certificate }) => certificate) }),
      /has 6 elements in "certificates", at most 5 are read/,
      'ARGUMENT_INVALID',
    ],
    [
      'from another address than that of its certificate',
      () =>
        below(issue({ name: 'elsewhere', extensions: san('IP:192.0.2.8') }), {
          state: popState({ verify_client_ip: true }, [root.certificate]),
          context: { forwardedClientIp: '192.0.2.7' },
        }),
      /connects from 192\.0\.2\.7, which is none of the IP addresses/,
    ],
    [
      'where the server does not tell its address',
      () => below(leaf, { state: popState({ verify_client_ip: true }, [root.certificate]) }),
      /needs the address of the agent, and the server gave ""/,
      'FAILED_PRECONDITION',
    ],
    [
      'for whose name the template gives no path',
      () =>
        below(issue({ name: 'spaced', subject: '/CN=two words' }), {
          state: popState({ agent_path_template: '/{{ .PluginName }}/{{ .Subject.CommonName }}' }, [root.certificate]),
        }),
      /gives no agent ID for this node: path .* has " "/,
    ],
    [
      'whose name would be two segments',
      () =>
        below(issue({ name: 'slashed', subject: '/CN=a\\/b' }), {
          state: popState({ agent_path_template: '/{{ .PluginName }}/{{ .Subject.CommonName }}' }, [root.certificate]),
        }),
      /the value "a\/b" has a "\/"/,
    ],
    [
      'with a payload that is no JSON',
      () => below(leaf, { payload: text((json) => json.slice(1)) }),
      /no JSON text/,
      'ARGUMENT_INVALID',
    ],
    [
      'with a payload cut short',
      () => below(leaf, { payload: text((json) => json.slice(0, -20)) }),
      /no JSON text/,
      'ARGUMENT_INVALID',
    ],
    [
      'with a certificate cut short',
      () => below(leaf, { chain: [leaf.certificate.subarray(0, -3)] }),
      /the certificate: /,
      'CERTIFICATE_INVALID',
    ],
    ['without a certificate', () => below(leaf, { chain: [] }), /has no list in "certificates"/, 'ARGUMENT_INVALID'],
    [
      'with a payload that is too large',
      () => below(leaf, { payload: () => Buffer.alloc(300_000, 0x20) }),
      /at most 262144/,
      'TOO_LARGE',
    ],
    [
      'with the answer to another challenge',
      () => below(leaf, { response: () => replayed }),
      /the node does not have it/,
    ],
    [
      'with a signature of zeros',
      () =>
        below(leaf, { proof: (proof) => ({ ...proof, r: new Uint8Array(32), s: new Uint8Array(32) }) as typeof proof }),
      /the node does not have it/,
    ],
    [
      'with a nonce that is too short',
      () => below(leaf, { proof: (proof) => ({ ...proof, nonce: new Uint8Array(31) }) }),
      /the nonce of the answer has 31 bytes/,
      'ARGUMENT_INVALID',
    ],
    [
      'with the proof of another kind of key',
      () => below(leaf, { response: text((json) => json.replaceAll('ecdsa_signature', 'rsa_signature')) }),
      /has no "ecdsa_signature"/,
      'ARGUMENT_INVALID',
    ],
    [
      'with an answer of null',
      () => below(leaf, { response: () => Buffer.from('null') }),
      /no JSON object/,
      'ARGUMENT_INVALID',
    ],
  ])('%s', async (_what, exchange, message, code) => {
    await expect(exchangePop(exchange())).rejects.toEqual(denied(message, code));
  });

  let replayed: Uint8Array;
  beforeAll(async () => {
    await exchangePop(
      below(leaf, {
        response: (response) => {
          replayed = response;
          return response;
        },
      }),
    );
  });
});

describe('in the mode spiffe', () => {
  const svid = (name: string, ...uris: readonly string[]) =>
    issue({ name, extensions: san(...uris.map((uri) => `URI:${uri}`)) });
  const mode = (settings: Readonly<Record<string, unknown>> = {}) =>
    popState({ mode: 'spiffe', ...settings }, [root.certificate]);

  test.each([
    ['the default prefix', {}, '/spire-exchange/host/7', 'host/7'],
    ['another', { svid_prefix: '/nodes' }, '/nodes/7', '7'],
    ['SPIRE’s other name for it', { spiffe_prefix: '/nodes/' }, '/nodes/7', '7'],
    ['none', { svid_prefix: '' }, '/any/7', 'any/7'],
  ])('an X.509-SVID is exchanged, with %s', async (_what, settings, path, suffix) => {
    const node = svid(`svid${path.replaceAll('/', '-')}`, `spiffe://example.org${path}`);
    const { spiffeId } = await exchangePop(below(node, { state: mode(settings) }));
    expect(spiffeId).toBe(`spiffe://example.org/spire/agent/x509pop/${suffix}`);
  });

  test.each<[string, () => IssuedCertificate, RegExp]>([
    ['no SPIFFE ID', () => svid('none', 'https://example.org'), /has no SPIFFE ID/],
    ['two SPIFFE IDs', () => svid('two', 'spiffe://example.org/spire-exchange/a', 'spiffe://example.org/b'), /several/],
    [
      'another trust domain',
      () => svid('other', 'spiffe://other.org/spire-exchange/a'),
      /is not one of this trust domain/,
    ],
    [
      'another prefix',
      () => svid('prefix', 'spiffe://example.org/workload'),
      /does not begin with "\/spire-exchange\/"/,
    ],
    ['the prefix alone', () => svid('alone', 'spiffe://example.org/spire-exchange'), /does not begin with/],
    [
      'the certificate of a CA',
      () =>
        issue({
          name: 'ca-svid',
          extensions: [
            'basicConstraints=critical,CA:TRUE',
            'keyUsage=critical,keyCertSign,digitalSignature',
            'subjectAltName=URI:spiffe://example.org/spire-exchange/ca',
          ],
        }),
      /it is one of a CA/,
    ],
  ])('%s is refused', async (_what, node, message) => {
    await expect(exchangePop(below(node(), { state: mode() }))).rejects.toThrow(message);
  });

  test('the authorities are the server’s own, and none means nobody', async () => {
    const node = svid('nobody', 'spiffe://example.org/spire-exchange/a');
    const context = { ownAuthorities: async () => [] };
    await expect(exchangePop(below(node, { state: mode(), context }))).rejects.toThrow(/no issuer of .* is known/);
  });
});

describe('the configuration', () => {
  test.each([
    ['no CA', {}, /"ca_bundle_paths" no certificate would be trusted/],
    ['two ways to name CAs', { ca_bundle_path: 'a', ca_bundle_paths: ['b'] }, /keep one of them/],
    ['a CA in the mode spiffe', { mode: 'spiffe', ca_bundle_path: 'a' }, /has no place in the mode "spiffe"/],
    ['an unknown mode', { mode: 'pki' }, /must be one of "external_pki", "spiffe"/],
    ['two prefixes', { mode: 'spiffe', svid_prefix: '/a', spiffe_prefix: '/b' }, /differs from "spiffe_prefix"/],
    ['no intermediates', { ca_bundle_path: 'a', max_intermediates: 0 }, /must be greater than 0/],
    ['no key size', { ca_bundle_path: 'a', max_rsa_key_size: -1 }, /must be greater than 0/],
    [
      'a template that is none',
      { ca_bundle_path: 'a', agent_path_template: '/{{ .Nope }}' },
      /the template has ".Nope"/,
    ],
    ['a key that is none', { ca_bundle_path: 'a', ca_path: 'b' }, /ca_path/],
  ])('of the server with %s is refused', (_what, settings, message) => {
    const { error } = popServerConfig.safeParse(settings);
    expect(error?.issues.map(({ message: one }) => one).join('\n')).toMatch(message);
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    ['nothing', () => ({}), /is needed: the file in PEM/],
    ['a socket that is none', () => ({ spiffe_endpoint_socket: 'tcp://127.0.0.1:1' }), /must be a Unix socket/],
    [
      'another key',
      () => ({ certificate_path: leaf.certificatePath, private_key_path: root.keyPath }),
      /is for another key than the one in/,
    ],
    [
      'a key in the place of the certificate',
      () => ({ certificate_path: leaf.keyPath, private_key_path: leaf.keyPath }),
      /no PEM block/,
    ],
    [
      'no key in the file',
      () => ({ certificate_path: leaf.certificatePath, private_key_path: leaf.certificatePath }),
      /holds no private key/,
    ],
    ['a file that is not there', () => ({ certificate_path: '/nowhere', private_key_path: leaf.keyPath }), /ENOENT/],
    [
      'an encrypted key',
      () => {
        const path = folder.join('encrypted.key');
        const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
        writeFileSync(path, leaf.key.export(cipher));
        return { certificate_path: leaf.certificatePath, private_key_path: path };
      },
      /is encrypted: store it in clear/,
    ],
  ])('of the agent with %s is refused', async (_what, settings, message) => {
    const load = async () => loadKeyAndCertificates(popAgentConfig.parse(settings()), new AbortController().signal);
    await expect(load()).rejects.toThrow(message);
  });

  test('of the agent names intermediates in a file of their own', async () => {
    const config = popAgentConfig.parse({
      certificate_path: leaf.certificatePath,
      private_key_path: leaf.keyPath,
      intermediates_path: intermediate.certificatePath,
    });
    const { certificates: sent } = await loadKeyAndCertificates(config, new AbortController().signal);
    expect(sent.map(sha1)).toEqual([leaf, intermediate].map(({ certificate }) => sha1(certificate)));
  });
});
