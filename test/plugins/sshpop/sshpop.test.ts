import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentAttributes } from '../../../src/plugin-sdk/index.ts';
import { sshAgentConfig } from '../../../src/plugins/sshpop/agent-config.ts';
import { attestHost, type SshAttestorState } from '../../../src/plugins/sshpop/attest.ts';
import { readAuthorities } from '../../../src/plugins/sshpop/authorities.ts';
import { readHostKey } from '../../../src/plugins/sshpop/host-key.ts';
import {
  decodeChallenge,
  encodePayload,
  encodeResponse,
  type HostResponse,
  NONCE_BYTES,
} from '../../../src/plugins/sshpop/messages.ts';
import { bothNonces } from '../../../src/plugins/sshpop/nonces.ts';
import { sshServerConfig } from '../../../src/plugins/sshpop/server-config.ts';
import { parseSshCertificate } from '../../../src/plugins/sshpop/ssh-certificate.ts';
import { signWith } from '../../../src/plugins/sshpop/ssh-signature.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import { SshKeys } from '../../harness/ssh-keys.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

// docs/plugins/sshpop.md; keys and certificates are ssh-keygen's.

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let keys: SshKeys;

interface Exchange {
  readonly host?: string;
  /** The blob of a certificate in the place of the host's. */
  readonly certificate?: Uint8Array;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly now?: Date;
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  readonly answer?: (response: HostResponse) => HostResponse;
  readonly response?: (response: Uint8Array) => Uint8Array;
}

async function stateOf(settings: Readonly<Record<string, unknown>> = {}): Promise<SshAttestorState> {
  const config = sshServerConfig.parse({ cert_authorities: [keys.publicKey('ca')], ...settings });
  return { config, trust: { authorities: await readAuthorities(config), canonicalDomain: config.canonical_domain } };
}

const configOf = (host: string) =>
  sshAgentConfig.parse({ host_key_path: folder.join(host), host_cert_path: folder.join(`${host}-cert.pub`) });

/** Both halves in one process. @throws what the server's half refuses with */
async function exchange({ host = 'node', now = new Date(), ...changes }: Exchange = {}): Promise<AgentAttributes> {
  const { payload = same, answer = same, response = same } = changes;
  const { key, certificate } = await readHostKey(configOf(host));
  const server = attestHost(
    payload(encodePayload(changes.certificate ?? certificate.blob)),
    await stateOf(changes.settings),
    {
      trustDomain: parseTrustDomain('example.org'),
      now: async () => now,
      randomBytes: async (size) => new Uint8Array(randomBytes(size)),
    },
  );
  const first = await server.next();
  if (first.done === true) throw new Error('the server asked for nothing');
  const nonce = randomBytes(NONCE_BYTES);
  const signature = signWith(key, certificate.type, bothNonces(decodeChallenge(first.value), nonce));
  const last = await server.next(response(encodeResponse(answer({ nonce, signature }))));
  if (last.done !== true) throw new Error('the server asked twice');
  return last.value;
}

const same = <T>(value: T): T => value;
const LABEL = 'OPENSSH PRIVATE KEY';
const fingerprint = (name: string) =>
  createHash('sha256')
    .update(keys.blob(`${name}-cert.pub`))
    .digest('base64url');
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

function host(name: string, options: Partial<Parameters<SshKeys['sign']>[1]> = {}): string {
  keys.generate(name);
  keys.sign(name, { by: 'ca', ...options });
  return name;
}

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  keys = new SshKeys(folder);
  for (const name of ['ca', 'stranger', 'node']) keys.generate(name);
  keys.generate('rsa-ca', 'rsa', '-b', '2048');
  keys.sign('node', { by: 'ca', serial: 77, keyId: 'rack 7', validity: '-1d:+1d' });
});
afterAll(() => resources.disposeAsync());

describe('a host is admitted', () => {
  test.each([
    ['ed25519', 'ed25519', []],
    ['ecdsa on P-256', 'ecdsa', ['-b', '256']],
    ['ecdsa on P-384', 'ecdsa', ['-b', '384']],
    ['ecdsa on P-521', 'ecdsa', ['-b', '521']],
    ['rsa', 'rsa', ['-b', '2048']],
    ['rsa in PEM', 'rsa', ['-b', '2048', '-m', 'PEM']],
    ['ecdsa in PKCS#8', 'ecdsa', ['-m', 'PKCS8']],
  ])('with a key of type %s', async (what, type, more) => {
    const name = what.replaceAll(/\W/g, '');
    keys.generate(name, type, ...more);
    keys.sign(name, { by: 'ca' });
    expect(await exchange({ host: name })).toEqual({
      spiffeId: `spiffe://example.org/spire/agent/sshpop/${fingerprint(name)}`,
      selectorValues: [`hostname:${name}.example.org`, expect.stringMatching(/^ca:fingerprint:SHA256:[\w+/]{43}$/)],
      canReattest: true,
    });
  });

  test.each(['rsa-sha2-256', 'rsa-sha2-512'] as const)('by an RSA authority that signs in %s', async (format) => {
    host(format, { by: 'rsa-ca', format });
    const settings = { cert_authorities: [keys.publicKey('stranger'), keys.publicKey('rsa-ca')] };
    await expect(exchange({ host: format, settings })).resolves.toBeDefined();
  });

  test('by an authority of a file with comments and options', async () => {
    const lines = ['# ours', '', `cert-authority,principals="x y" ${keys.publicKey('ca')}`];
    writeFileSync(folder.join('authorities'), lines.join('\n'));
    const settings = { cert_authorities: [], cert_authorities_path: folder.join('authorities') };
    await expect(exchange({ settings })).resolves.toBeDefined();
  });

  test.each([
    ['/{{ .PluginName }}/{{ .Hostname }}', {}, 'node.example.org'],
    ['/{{ .PluginName }}/{{ .Hostname }}', { canonical_domain: 'example.org' }, 'node'],
    ['/{{ .PluginName }}/{{ .Serial }}/{{ .KeyId | replace " " "-" }}', {}, '77/rack-7'],
    ['/{{ .PluginName }}/{{ index .ValidPrincipals 0 }}', {}, 'node.example.org'],
  ])('with the ID that %s makes', async (agent_path_template, more, suffix) => {
    const { spiffeId } = await exchange({ settings: { agent_path_template, ...more } });
    expect(spiffeId).toBe(`spiffe://example.org/spire/agent/sshpop/${suffix}`);
  });
});

describe('a host is refused', () => {
  const at = (position: number) => (bytes: Uint8Array) =>
    bytes.map((byte, index) => (index === (position < 0 ? bytes.length + position : position) ? byte ^ 1 : byte));
  const certificateOf = (name: string) => keys.blob(`${name}-cert.pub`);
  const text = (change: (json: string) => string) => (bytes: Uint8Array) =>
    Buffer.from(change(Buffer.from(bytes).toString()));

  test.each<[string, () => Exchange, RegExp, string?]>([
    ['whose certificate has expired', () => ({ now: inDays(1.5) }), /has expired at 20/],
    ['whose certificate begins tomorrow', () => ({ now: inDays(-1.5) }), /is not valid before 20.*is the clock/],
    ['that shows one of a user', () => ({ host: host('user', { isHost: false }) }), /is one of a user, not of a host/],
    [
      'of another authority',
      () => ({ host: host('foreign', { by: 'stranger' }) }),
      /is signed by the key SHA256:.* which is none of "cert_authorities"/,
    ],
    [
      'of another domain',
      () => ({
        host: host('outside', { principals: ['outside.other.org'] }),
        settings: { canonical_domain: 'example.org' },
      }),
      /"outside.other.org", which is not in the domain "example.org"/,
    ],
    [
      'that is the domain itself',
      () => ({ host: host('apex', { principals: ['.example.org'] }), settings: { canonical_domain: 'example.org' } }),
      /which is not in the domain/,
    ],
    ['without a name', () => ({ host: host('nameless', { principals: [] }) }), /names no host/],
    [
      'with a critical option',
      () => ({ host: host('critical', { option: 'critical:unheard@example.org=x' }) }),
      /has the critical option "unheard@example.org"/,
    ],
    [
      'whose authority signed with SHA-1',
      () => ({ certificate: inSha1('ssh-rsa'), settings: { cert_authorities: [keys.publicKey('rsa-ca')] } }),
      /"ssh-rsa" is not accepted from a key of type ssh-rsa/,
      'ARGUMENT_INVALID',
    ],
    [
      'that shows a bare key',
      () => ({ certificate: keys.blob('node.pub') }),
      /is a bare public key of type ssh-ed25519/,
      'ARGUMENT_INVALID',
    ],
    [
      'whose certificate was changed',
      () => ({ certificate: at(60)(certificateOf('node')) }),
      /signature that is not its authority’s/,
    ],
    [
      'whose signature was changed',
      () => ({ certificate: at(-1)(certificateOf('node')) }),
      /signature that is not its authority’s/,
    ],
    [
      'whose certificate is cut short',
      () => ({ certificate: certificateOf('node').subarray(0, -1) }),
      /ends within the signature/,
      'ARGUMENT_INVALID',
    ],
    [
      'whose certificate goes on',
      () => ({ certificate: Buffer.concat([certificateOf('node'), Buffer.of(0)]) }),
      /has 1 bytes too many/,
      'ARGUMENT_INVALID',
    ],
    [
      'whose certificate is too large',
      () => ({ certificate: Buffer.alloc(33_000) }),
      /has 33000 bytes in "Certificate"/,
      'ARGUMENT_INVALID',
    ],
    ['with the key of another', () => ({ certificate: certificateOf('other') }), /the node does not have it/],
    ['with the answer to another challenge', () => ({ response: () => replayed }), /the node does not have it/],
    [
      'with a signature of another kind',
      () => ({ answer: (sent) => ({ ...sent, signature: { ...sent.signature, format: 'rsa-sha2-512' } }) }),
      /"rsa-sha2-512" is not accepted from a key of type ssh-ed25519/,
      'ARGUMENT_INVALID',
    ],
    [
      'with a short nonce',
      () => ({ answer: (sent) => ({ ...sent, nonce: new Uint8Array(31) }) }),
      /has 31 bytes/,
      'ARGUMENT_INVALID',
    ],
    [
      'without a signature',
      () => ({ response: () => Buffer.from('{"Nonce":""}') }),
      /has no "Signature"/,
      'ARGUMENT_INVALID',
    ],
    [
      'with a payload that is no JSON',
      () => ({ payload: text((json) => json.slice(1)) }),
      /no JSON text/,
      'ARGUMENT_INVALID',
    ],
    ['with a payload that is too large', () => ({ payload: () => Buffer.alloc(70_000) }), /at most 65536/, 'TOO_LARGE'],
    [
      'whose name is no path',
      () => ({
        host: host('odd', { principals: ['odd name'] }),
        settings: { agent_path_template: '/{{ .PluginName }}/{{ .Hostname }}' },
      }),
      /gives no agent ID for this node/,
    ],
  ])('%s', async (_what, changes, message, code = 'ATTESTATION_DENIED') => {
    await expect(exchange(changes())).rejects.toEqual(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  /** A certificate that says so of its signature: nothing makes one any more that is signed so. */
  function inSha1(format: string): Uint8Array {
    host('sha1', { by: 'rsa-ca', format: 'rsa-sha2-256' });
    const blob = Buffer.from(certificateOf('sha1'));
    const { signature } = parseSshCertificate(blob);
    const before = blob.subarray(0, blob.length - signature.blob.length - 4 - signature.format.length - 4 - 4);
    const word = (bytes: Uint8Array) =>
      Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes]);
    return Buffer.concat([before, word(Buffer.concat([word(Buffer.from(format)), word(signature.blob)]))]);
  }

  let replayed: Uint8Array;
  beforeAll(async () => {
    host('other');
    await exchange({
      response: (response) => {
        replayed = response;
        return response;
      },
    });
  });
});

test('a certificate cut anywhere, or with any byte changed, never passes', async () => {
  const blob = keys.blob('node-cert.pub');
  const state = await stateOf();
  const start = async (bytes: Uint8Array) =>
    await attestHost(encodePayload(bytes), state, {
      trustDomain: parseTrustDomain('example.org'),
      now: async () => new Date(),
      randomBytes: async (size) => new Uint8Array(size),
    }).next();
  for (let index = 0; index < blob.length; index++) {
    const changed = blob.map((byte, at) => (at === index ? byte ^ 0x41 : byte));
    for (const bytes of [changed, blob.subarray(0, index)]) {
      await expect(start(bytes)).rejects.toMatchObject({
        code: expect.stringMatching(/^(ATTESTATION_DENIED|ARGUMENT_INVALID)$/),
      });
    }
  }
  await expect(start(blob)).resolves.toMatchObject({ done: false });
});

describe('the configuration', () => {
  test.each([
    ['no authority', { cert_authorities: [] }, /no host would be trusted/],
    [
      'a line that is no key',
      { cert_authorities: ['ssh-ed25519 AAAA!'] },
      /cert_authorities\[0\]: must be a public key/,
    ],
    ['a key of another type', { cert_authorities: ['ssh-dss AAAAB3NzaC1kc3M='] }, /must be a public key/],
    [
      'a type that is not the key’s',
      { cert_authorities: ['ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA'] },
      /cert_authorities\[0\]: /,
    ],
    [
      'a file that is not there',
      { cert_authorities_path: '/nowhere' },
      /cert_authorities_path: "\/nowhere" cannot be read: ENOENT/,
    ],
    ['a template that is none', { agent_path_template: '/{{ .Nope }}' }, /the template has .*\.Nope/],
  ])('of the server with %s is refused', async (_what, settings, message) => {
    await expect(stateOf(settings)).rejects.toEqual(
      expect.objectContaining({ message: expect.stringMatching(message) }),
    );
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    ['another key', () => ({ host_key_path: folder.join('ca') }), /is for another key than the one in/],
    [
      'a public key in the place of the private',
      () => ({ host_key_path: folder.join('node.pub') }),
      /the private key does not parse/,
    ],
    ['a key without certificate', () => ({ host_cert_path: folder.join('node.pub') }), /is a bare public key/],
    ['a file that is not there', () => ({ host_cert_path: '/nowhere' }), /ENOENT/],
    [
      'an encrypted key',
      () => {
        keys.generate('encrypted', 'ed25519', '-N', 'secret');
        return { host_key_path: folder.join('encrypted') };
      },
      /is encrypted: store it in clear/,
    ],
    [
      'an encrypted key in PEM',
      () => {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
        writeFileSync(folder.join('pem'), privateKey.export(cipher));
        return { host_key_path: folder.join('pem') };
      },
      /is encrypted: store it in clear/,
    ],
    [
      'a damaged key',
      () => {
        const [block = new Uint8Array(0)] = decodePem(readFileSync(folder.join('node'), 'latin1'), LABEL);
        writeFileSync(folder.join('damaged'), encodePem(LABEL, block.subarray(0, -60)));
        return { host_key_path: folder.join('damaged') };
      },
      /the private key ends within the private half/,
    ],
  ])('of the agent with %s is refused', async (_what, settings, message) => {
    await expect(readHostKey({ ...configOf('node'), ...settings() })).rejects.toThrow(message);
  });
});
