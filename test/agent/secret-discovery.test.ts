import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CertificateValidationContext } from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { Secret } from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SPIFFECertValidatorConfig } from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import { DiscoveryRequest, type DiscoveryResponse } from '../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { SecretDiscoveryServiceDefinition } from '../../src/gen/envoy/service/secret/v3/sds.ts';
import { Struct } from '../../src/gen/google/protobuf/struct.ts';
import type { DeepPartial } from '../../src/gen/spire/api/types/types.ts';
import type { BidiCall } from '../../src/rpc/client.ts';
import { Status } from '../../src/spiffe/status.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

vi.setConfig({ testTimeout: 90_000 }); // many tests start programs

const WEB = 'spiffe://example.org/web';
const DOMAIN = 'spiffe://example.org';
const DEADLINE = { deadlineMs: 30_000 };
/** What an Envoy says of itself. */
const ENVOY = envoy(1, 40);

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  await domain.createEntry('/web');
  agent = resources.use(await domain.startAgent());
});
afterAll(() => resources.disposeAsync());

const status = (code: Status, message: string | RegExp) =>
  expect.objectContaining({ status: code, message: expect.stringMatching(message) });

describe('names (inventory C121 to C123)', () => {
  test('"default" and the SPIFFE ID are the SVID with its key', async () => {
    for (const name of ['default', WEB]) {
      const [secret] = await fetch([name]);
      const leaf = new X509Certificate(pemOf(secret, 'certificateChain'));
      expect(leaf.subjectAltName).toContain(`URI:${WEB}`);
      expect(createPublicKey(createPrivateKey(pemOf(secret, 'privateKey'))).equals(leaf.publicKey)).toBe(true);
      expect(secret?.name).toBe(name);
    }
  });

  test('"ROOTCA", "ALL" and the ID of the trust domain are bundles for the SPIFFE validator', async () => {
    for (const name of ['ROOTCA', 'ALL', DOMAIN]) {
      const [secret] = await fetch([name]);
      expect(secret?.name).toBe(name);
      expect(validatedDomains(secret)).toEqual(['example.org']);
    }
  });

  test('no name is everything, by its IDs', async () => {
    expect((await fetch([])).map(({ name }) => name)).toEqual([DOMAIN, WEB]);
    expect(await namesOf(['default', 'ROOTCA', 'default'])).toEqual(['default', 'ROOTCA']);
  });

  const refused = [
    ['another identity', 'spiffe://example.org/other', /no entry of the caller/],
    ['another trust domain', 'spiffe://partner.org', /no entry of the caller/],
    ["Istio's file of a certificate", 'file-cert:/etc/certs/cert.pem~/etc/certs/key.pem', /it is no name here/],
    ["Istio's file of roots", 'file-root:/etc/certs/root.pem', /it is no name here/],
  ] as const;
  test.each(refused)('%s is refused', async (_what, name, reason) => {
    await expect(fetch([name])).rejects.toEqual(status(Status.InvalidArgument, reason));
    await expect(fetch(['default', name])).rejects.toEqual(status(Status.InvalidArgument, reason));
  });

  test('names may be chosen, and validation too (C124)', async () => {
    const token = `join_token = "${await domain.createToken()}"`;
    const sds = `sds {
      default_svid_name = "me"
      default_bundle_name = "us"
      default_all_bundles_name = "them"
      disable_spiffe_cert_validation = true
    }`;
    await using other = await domain.startAgent('other-names', { settings: `${token}\n  ${sds}` });
    const [me, us, them] = await fetch(['me', 'us', 'them'], {}, other);
    expect(new X509Certificate(pemOf(me, 'certificateChain')).subjectAltName).toContain(WEB);
    expect(contextOf(us).customValidatorConfig).toBeUndefined();
    expect(authorityOf(us).ca).toBe(true);
    expect(authorityOf(them).ca).toBe(true);
    await expect(fetch(['default'], {}, other)).rejects.toEqual(status(Status.InvalidArgument, 'no name here'));
  });

  test('the API can be switched off (C077)', async () => {
    const settings = `join_token = "${await domain.createToken()}"\n  disable_sds_api = true`;
    await using without = await domain.startAgent('without', { settings });
    await expect(fetch(['default'], {}, without)).rejects.toEqual(status(Status.Unimplemented, ''));
    expect(await fetchIds(without)).toEqual([WEB]);
  });
});

describe('whether the SPIFFE validator is used (C124)', () => {
  const nodes = [
    ['an Envoy before it had one', envoy(1, 17), false],
    ['the first Envoy that has one', envoy(1, 18), true],
    ['an Envoy to come', envoy(2, 0), true],
    ['a version in words', { userAgentVersionType: { $case: 'userAgentVersion', value: '1.40.0' } }, false],
    ['nobody that says what it is', undefined, false],
    [
      'an Envoy that does not want it',
      { ...ENVOY, metadata: metadataOf({ disable_spiffe_cert_validation: true }) },
      false,
    ],
    [
      'an Envoy that does not want it, in words',
      { ...ENVOY, metadata: metadataOf({ disable_spiffe_cert_validation: 'true' }) },
      false,
    ],
    ['an Envoy with more metadata than is read', { ...ENVOY, metadata: new Uint8Array(64 * 1024 + 1) }, true],
    [
      'an Envoy that wants it',
      { ...ENVOY, metadata: metadataOf({ disable_spiffe_cert_validation: false, other: 1 }) },
      true,
    ],
  ] as const;
  test.each(nodes)('%s', async (_what, node, isUsed) => {
    const [secret] = await fetch(['ROOTCA'], { node });
    expect(contextOf(secret).customValidatorConfig !== undefined).toBe(isUsed);
    expect(contextOf(secret).trustedCa !== undefined).toBe(!isUsed);
  });
});

describe('a stream', () => {
  test('is answered anew only where there is something new', async () => {
    await using stream = open();
    await stream.send(request(['default'], { node: ENVOY }));
    const first = await receive(stream);
    expect(first).toMatchObject({ nonce: '1', typeUrl: expect.stringMatching(/\.Secret$/) });
    await stream.send(answer(first, ['default']));
    await stream.send(answer(first, ['default', 'ROOTCA']));
    const second = await receive(stream);
    expect(second.nonce).toBe('2');
    expect(second.versionInfo).not.toBe(first.versionInfo);
    expect(namesIn(second)).toEqual(['default', 'ROOTCA']);
    await stream.send(answer(first, ['ALL'])); // of a response that is not the last one
    await stream.send(answer(second, ['ROOTCA']));
    const third = await receive(stream);
    expect(namesIn(third)).toEqual(['ROOTCA']);
    expect(validatedDomains(secretsOf(third)[0])).toEqual(['example.org']); // by the node of the first request
  });

  test('goes on where a response is refused, which is logged', async () => {
    await using stream = open();
    await stream.send(request(['default']));
    const first = await receive(stream);
    await stream.send({
      ...answer(first, ['default']),
      errorDetail: { code: 3, message: 'no such\nthing', details: [] },
    });
    await stream.send(answer(first, ['ROOTCA']));
    expect(namesIn(await receive(stream))).toEqual(['ROOTCA']);
    expect(agent.records).toContainEqual(
      expect.objectContaining({
        message: 'a proxy refused its secrets',
        fields: expect.objectContaining({ pid: process.pid, reason: '"no such\\nthing"' }),
      }),
    );
  });

  test("leaves out Istio's files and what is not the caller's, says so in the log, and goes on", async () => {
    const name = 'file-cert:/etc/certs/cert.pem~/etc/certs/key.pem';
    await using stream = open();
    await stream.send(request([name, 'file-root:/etc/root.pem']));
    const first = await receive(stream);
    expect(namesIn(first)).toEqual([]);
    await stream.send(answer(first, [name, 'default']));
    expect(namesIn(await receive(stream))).toEqual(['default']);
    expect(agent.records).toContainEqual(
      expect.objectContaining({
        message: 'secrets are not given',
        fields: expect.objectContaining({ count: 2, reason: expect.stringContaining(`"${name}": it is no name here`) }),
      }),
    );
  });

  test('wants nothing any more once it names nothing, and something again', async () => {
    await using stream = open();
    await stream.send(request(['default']));
    const first = await receive(stream);
    await stream.send(answer(first, []));
    await stream.send(answer(first, ['ROOTCA']));
    expect(namesIn(await receive(stream))).toEqual(['ROOTCA']);
  });

  test('is told of an entry that comes, changes and goes', async () => {
    const added = 'spiffe://example.org/added';
    await using stream = open();
    await stream.send(request([added]));
    const none = await receive(stream);
    expect(namesIn(none)).toEqual([]);
    await stream.send(answer(none, [added]));
    const id = await domain.createEntry('/added');
    const given = await receive(stream);
    expect(namesIn(given)).toEqual([added]);
    await stream.send(answer(given, [added]));
    await domain.deleteEntry(id);
    expect(namesIn(await receive(stream))).toEqual([]);
  });

  test('of a caller without an identity ends with PERMISSION_DENIED, so too once its last entry is deleted', async () => {
    await using bare = await TestDomain.start();
    await using lonely = await bare.startAgent();
    const refusal = status(Status.PermissionDenied, 'no identity issued');
    await expect(fetch(['ROOTCA'], {}, lonely)).rejects.toEqual(refusal);
    await using early = open(lonely);
    await early.send(request(['default']));
    await expect(early.receive()).rejects.toEqual(refusal);
    const id = await bare.createEntry('/short-lived');
    await expect.poll(() => fetchIds(lonely)).toEqual(['spiffe://example.org/short-lived']);
    await using stream = open(lonely);
    await stream.send(request(['default']));
    expect(namesIn(await receive(stream))).toEqual(['default']);
    await bare.deleteEntry(id);
    await expect(stream.receive()).rejects.toEqual(refusal);
  });

  test('ends with UNAVAILABLE, at once, when the agent stops', async () => {
    await using bare = await domain.startAgent('stopping');
    await using stream = open(bare);
    await stream.send(request(['default']));
    await receive(stream);
    const [ended] = await Promise.allSettled([stream.receive(), bare.running[Symbol.asyncDispose]()]);
    expect(ended).toMatchObject({ status: 'rejected', reason: { status: Status.Unavailable } });
  });

  test('DeltaSecrets is not implemented (R076)', async () => {
    await using call = agent.workload(SecretDiscoveryServiceDefinition).deltaSecrets(DEADLINE);
    await expect(call.receive()).rejects.toEqual(status(Status.Unimplemented, ''));
  });
});

describe('a hostile caller', () => {
  const refused = [
    ['resources of another type', { typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' }, /are of type/],
    ['too many names', { resourceNames: Array.from({ length: 257 }, (_, index) => `n${index}`) }, /257 .* too many/],
    ['a name that is too long', { resourceNames: ['x'.repeat(8 * 1024 + 1)] }, /has 8193 bytes/],
  ] satisfies [string, DeepPartial<DiscoveryRequest>, RegExp][];
  test.each(refused)('is refused %s', async (_what, more, reason) => {
    const refusal = status(Status.InvalidArgument, reason);
    const wanted = request(['default'], more);
    await using stream = open();
    await stream.send(wanted);
    await expect(stream.receive()).rejects.toEqual(refusal);
    await expect(agent.workload(SecretDiscoveryServiceDefinition).fetchSecrets(wanted)).rejects.toEqual(refusal);
  });

  test('does no harm by metadata without a bottom', async () => {
    // google.protobuf.Struct in google.protobuf.Value and again.
    let metadata = Buffer.alloc(0);
    for (let depth = 0; depth < 500; depth += 1) {
      const entry = Buffer.concat([field(1, Buffer.from('a')), field(2, field(5, metadata))]);
      metadata = field(1, entry);
    }
    const refusal = status(Status.InvalidArgument, 'the metadata of the node cannot be read');
    await expect(fetch(['ROOTCA'], { node: { metadata } })).rejects.toEqual(refusal);
    expect(await namesOf(['default'])).toEqual(['default']);
  });

  test('does not fill the log by what it asks for', async () => {
    const before = agent.records.length;
    await using stream = open();
    await stream.send(request(['nothing']));
    let last = await receive(stream);
    for (let round = 0; round < 100; round += 1) {
      await stream.send(answer(last, [`nothing-${round}`]));
      last = await receive(stream);
    }
    const warnings = agent.records.slice(before).filter(({ level }) => level === 'warning');
    expect(warnings.length).toBeLessThanOrEqual(20);
  });
});

const metadataOf = (values: object) => Struct.encode(Struct.wrap({ ...values })).finish();

function envoy(majorNumber: number, minorNumber: number): DeepPartial<DiscoveryRequest>['node'] {
  const version = { majorNumber, minorNumber, patch: 0 };
  return { id: 'a', userAgentVersionType: { $case: 'userAgentBuildVersion', value: { version } } };
}

function open(to = agent): BidiCall<DiscoveryRequest, DiscoveryResponse> {
  return to.workload(SecretDiscoveryServiceDefinition).streamSecrets(DEADLINE);
}

function request(resourceNames: string[], more: DeepPartial<DiscoveryRequest> = {}): DiscoveryRequest {
  return DiscoveryRequest.fromPartial({ resourceNames, ...more });
}

/** What acknowledges a response and says what is wanted from then on. */
function answer({ versionInfo, nonce }: DiscoveryResponse, resourceNames: string[]): DiscoveryRequest {
  return request(resourceNames, { versionInfo, responseNonce: nonce });
}

async function receive(stream: BidiCall<DiscoveryRequest, DiscoveryResponse>): Promise<DiscoveryResponse> {
  const response = await stream.receive();
  if (response === undefined) throw new Error('the stream ended');
  return response;
}

async function fetch(
  names: string[],
  more: DeepPartial<DiscoveryRequest> = { node: ENVOY },
  from = agent,
): Promise<Secret[]> {
  const { fetchSecrets } = from.workload(SecretDiscoveryServiceDefinition);
  return secretsOf(await fetchSecrets(request(names, more), DEADLINE));
}

/** One field with a length. */
function field(number: number, content: Buffer): Buffer<ArrayBuffer> {
  const size: number[] = [];
  let rest = content.length;
  for (; rest > 127; rest >>>= 7) size.push((rest & 127) | 128);
  return Buffer.concat([Buffer.of((number << 3) | 2, ...size, rest), content]);
}

const secretsOf = ({ resources: given }: DiscoveryResponse) => given.map(({ value }) => Secret.decode(value));
const namesIn = (response: DiscoveryResponse) => secretsOf(response).map(({ name }) => name);
const namesOf = async (names: string[]) => (await fetch(names)).map(({ name }) => name);

function pemOf(secret: Secret | undefined, part: 'certificateChain' | 'privateKey'): Buffer {
  if (secret?.type?.$case !== 'tlsCertificate') throw new Error('no certificate');
  const specifier = secret.type.value[part]?.specifier;
  if (specifier?.$case !== 'inlineBytes') throw new Error(`no ${part}`);
  return Buffer.from(specifier.value);
}

function contextOf(secret: Secret | undefined): CertificateValidationContext {
  return secret?.type?.$case === 'validationContext' ? secret.type.value : CertificateValidationContext.create();
}

function authorityOf(secret: Secret | undefined): X509Certificate {
  const specifier = contextOf(secret).trustedCa?.specifier;
  return new X509Certificate(specifier?.$case === 'inlineBytes' ? specifier.value : '');
}

function validatedDomains(secret: Secret | undefined): string[] {
  const { name, typedConfig } = contextOf(secret).customValidatorConfig ?? {};
  expect(name).toBe('envoy.tls.cert_validator.spiffe');
  return SPIFFECertValidatorConfig.decode(typedConfig?.value ?? new Uint8Array()).trustDomains.map((one) => one.name);
}
