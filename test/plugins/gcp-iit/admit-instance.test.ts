import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { admitInstance } from '../../../src/plugins/gcp-iit/admit-instance.ts';
import { type GcpAttestorState, readState } from '../../../src/plugins/gcp-iit/attestor-state.ts';
import { gcpServerConfig } from '../../../src/plugins/gcp-iit/server-config.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import {
  GoogleCloud,
  type GoogleSigner,
  googleSigner,
  INSTANCE,
  instanceClaims,
  SERVICE_ACCOUNT,
  signToken,
} from '../../harness/google-cloud.ts';
import { LoopbackWeb } from '../../harness/loopback-web.ts';
import { OpenSsl } from '../../harness/sign-cms.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let google: GoogleCloud;
let folder: TemporaryFolder;
let stranger: GoogleSigner;
let state: GcpAttestorState;

const read = (text: string) => readConfigText(gcpServerConfig, text, { source: 'plugin_data' });
const stateOf = (more = '') =>
  readState(
    read(`
      projectid_allow_list = ["red-project", "blue-project"]
      certificates_url = "${google.certificatesUrl}"
      compute_url = "${google.web.url}"
      metadata_host = "${google.web.host}"
      ${more}`),
  );
const context = (now = new Date()) => ({
  trustDomain: parseTrustDomain('example.org'),
  signal: AbortSignal.timeout(20_000),
  now: () => Promise.resolve(now),
});
const admit = (token: string | Uint8Array, of = state, now = new Date(), firstUse = () => Promise.resolve()) =>
  admitInstance(new Uint8Array(Buffer.from(token)), of, context(now), firstUse);
const seconds = (offset: number) => Math.floor(Date.now() / 1000) + offset;
const signed = (changes: Readonly<Record<string, unknown>>) => signToken(google.signer, instanceClaims(changes));

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  google = resources.use(await GoogleCloud.start(openssl));
  folder = resources.use(await createTemporaryFolder());
  stranger = googleSigner(openssl, 'key-1');
});
beforeEach(async () => {
  state = await stateOf();
});
afterAll(() => resources.disposeAsync());

const TOKEN_SELECTORS = ['project-id:blue-project', 'zone:us-west1-b', 'instance-name:web-1', `sa:${SERVICE_ACCOUNT}`];

test('an instance gets the ID and the selectors that SPIRE gives it', async () => {
  expect(await admit(signToken(google.signer))).toEqual({
    spiffeId: 'spiffe://example.org/spire/agent/gcp_iit/blue-project/152986662232938449',
    selectorValues: TOKEN_SELECTORS,
    canReattest: false,
  });
});

test('the ID is as the template says', async () => {
  const of = await stateOf('agent_path_template = "/{{ .InstanceID }}/{{ .ServiceAccount }}"');
  expect((await admit(signToken(google.signer), of)).spiffeId).toBe(
    'spiffe://example.org/spire/agent/152986662232938449/739419398126-compute_developer.gserviceaccount.com',
  );
});

test('what the Compute Engine API tells becomes selectors, as far as it is wanted', async () => {
  const more =
    'use_instance_metadata = true\nallowed_label_keys = ["env", "empty"]\nallowed_metadata_keys = ["role", "bare"]';
  const { selectorValues } = await admit(signToken(google.signer), await stateOf(more));
  expect(selectorValues).toEqual([
    ...TOKEN_SELECTORS,
    ...['tag:web', 'tag:blue', 'label:env:prod', 'label:empty:', 'metadata:role:front', 'metadata:bare:'],
  ]);
});

test('a service account shows itself by its key', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const path = folder.join('account.json');
  const account = {
    type: 'service_account',
    client_email: 'server@red-project.iam.gserviceaccount.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    private_key_id: 'abc',
    token_uri: `${google.web.url}${GoogleCloud.tokenPath}`,
  };
  writeFileSync(path, JSON.stringify(account));
  const withFile = await stateOf(`use_instance_metadata = true\nservice_account_file = "${path}"`);
  await admit(signToken(google.signer), withFile);
  await admit(signToken(google.signer), withFile);
  const [call, ...more] = google.web.callsOf(GoogleCloud.tokenPath);
  expect(more).toEqual([]); // the token is good for an hour
  const form = new URLSearchParams(call?.body);
  expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
  const [head = '', body = '', signature = ''] = form.get('assertion')?.split('.') ?? [];
  expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toMatchObject({
    iss: account.client_email,
    aud: account.token_uri,
    scope: 'https://www.googleapis.com/auth/compute.readonly',
  });
  expect(sign('sha256', Buffer.from(`${head}.${body}`), privateKey).toString('base64url')).toBe(signature);
  writeFileSync(path, JSON.stringify({ ...account, type: 'authorized_user' }));
  await expect(stateOf(`use_instance_metadata = true\nservice_account_file = "${path}"`)).rejects.toThrow(
    /service_account_file: ".*" is of type "authorized_user", not the key of a service account/,
  );
});

test('an instance that is attested is refused before anything else is asked for', async () => {
  const seen: string[] = [];
  const attested = (id?: string) => {
    seen.push(String(id));
    return Promise.reject(new Error('attested'));
  };
  const before = google.web.callsOf(GoogleCloud.instancePath).length;
  const of = await stateOf('use_instance_metadata = true');
  await expect(admit(signToken(google.signer), of, new Date(), attested)).rejects.toThrow('attested');
  expect(seen).toEqual(['spiffe://example.org/spire/agent/gcp_iit/blue-project/152986662232938449']);
  expect(google.web.callsOf(GoogleCloud.instancePath)).toHaveLength(before);
});

const withInstance = (changes: object) => ({ google: { compute_engine: { ...INSTANCE, ...changes } } });
const hmacToken = () => {
  const parts = [{ alg: 'HS256', kid: 'key-1' }, instanceClaims()];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', google.signer.certificate).update(text).digest('base64url')}`;
};

test.each<readonly [string, () => string, RegExp]>([
  [
    'that has expired',
    () => signed({ iat: seconds(-3700), exp: seconds(-61) }),
    /^the identity token expired at 20.*: are the clocks right/,
  ],
  ['of a clock that is ahead', () => signed({ iat: seconds(120) }), /is good from 20.* only: are the clocks right/],
  ['that is good later', () => signed({ nbf: seconds(120) }), /is good from 20.* only/],
  ['without an end', () => signed({ exp: undefined }), /has a payload without a good "exp"/],
  ['with an end far away', () => signed({ exp: seconds(90_000) }), /is good for 90\d\d\d s, Google’s are for an hour/],
  ['whose end is no date', () => signed({ exp: 0, iat: 0 }), /expired at 1970/],
  [
    'of another issuer',
    () => signed({ iss: 'https://accounts.example.org' }),
    /is of the issuer "https:\/\/accounts\.example\.org", not of/,
  ],
  ['without an issuer', () => signed({ iss: undefined }), /has a payload without a good "iss"/],
  [
    'for another audience',
    () => signed({ aud: ['vault', 'https://example.org'] }),
    /is for the audience "vault, https:\/\/example\.org", not for "spire-gcp-node-attestor"/,
  ],
  [
    'of another project',
    () => signed(withInstance({ project_id: 'black-project' })),
    /the project "black-project" is not in "projectid_allow_list"/,
  ],
  ['for a person', () => signed({ google: undefined }), /without a good "google": ask for it with format=full/],
  [
    'without an instance',
    () => signed(withInstance({ instance_id: '' })),
    /without a good "google\.compute_engine\.instance_id"/,
  ],
  ['whose instance is a way out', () => signed(withInstance({ instance_id: '../../x' })), /path/],
  ['signed by another key of that name', () => signToken(stranger), /signature that is not by Google’s key "key-1"/],
  [
    'by a key that is not listed',
    () => signToken(google.signer, instanceClaims(), { kid: 'key-9' }),
    /signed by the key "key-9", which Google does not list/,
  ],
  [
    'that names no key',
    () => signToken(google.signer, instanceClaims(), { kid: undefined }),
    /has a header without a good "kid"/,
  ],
  [
    'without a signature',
    () => signToken(google.signer, instanceClaims(), { alg: 'none' }),
    /has the algorithm "none", Google signs with RS256/,
  ],
  ['signed with the certificate as a secret', hmacToken, /has the algorithm "HS256"/],
  [
    'with an extension that has to be understood',
    () => signToken(google.signer, instanceClaims(), { crit: ['exp'] }),
    /header without a good "crit"/,
  ],
  ['that is cut', () => signToken(google.signer).slice(0, -4), /signature that is not by|is no base64url/],
  ['of two parts', () => signToken(google.signer).split('.').slice(0, 2).join('.'), /is not three parts/],
  ['of other text', () => 'secret', /is not three parts/],
  ['of nothing', () => '', /is not three parts/],
  ['that is too long', () => 'a'.repeat(16 * 1024 + 1), /has 16385 bytes, at most 16384 are read/],
  ['whose payload is no JSON', () => signToken(google.signer).replace(/\.[^.]+\./, '.YQ.'), /signature that is not by/],
])('a token %s is refused', async (_what, token, message) => {
  await expect(admit(token())).rejects.toThrow(message);
});

test('a key is good as long as its certificate', async () => {
  const days = 3 * 24 * 3600;
  const token = signed({ iat: seconds(days), exp: seconds(days + 3600) });
  const later = new Date(Date.now() + days * 1000);
  await expect(admit(token, state, later)).rejects.toThrow(/signed by the key "key-1", which Google does not list/);
});

test('clocks may differ by less than a minute', async () => {
  await expect(admit(signed({ iat: seconds(50) }))).resolves.toBeDefined();
  await expect(admit(signed({ iat: seconds(-3600), exp: seconds(-50) }))).resolves.toBeDefined();
});

test('Google’s keys are asked for once, and again for a key that is new, which nobody can have done at will', async () => {
  const asked = () => google.web.callsOf(GoogleCloud.certificatesPath).length;
  const before = asked();
  await Promise.all([admit(signToken(google.signer)), admit(signToken(google.signer))]);
  await admit(signToken(google.signer));
  expect(asked()).toBe(before + 1);
  const next = googleSigner(openssl, 'key-2');
  google.signers.push(next);
  await admit(signToken(next));
  await expect(admit(signToken(google.signer, instanceClaims(), { kid: 'key-9' }))).rejects.toThrow(/does not list/);
  expect(asked()).toBe(before + 2);
});

test.each([
  ['has another number by now', { id: '7' }, /the instance "web-1" is number 7 by now, not 152986662232938449/],
  [
    'has metadata that is too long',
    { id: INSTANCE.instance_id, metadata: { items: [{ key: 'role', value: 'é'.repeat(65) }] } },
    /the metadata "role" has 130 bytes, over the 128 of "max_metadata_value_size"/,
  ],
  ['is told of in another way', { id: INSTANCE.instance_id, labels: { env: 1 } }, /in "labels\.env"/],
])('an instance that %s is refused', async (_what, instance, message) => {
  await using web = await LoopbackWeb.start();
  web.pages.set(GoogleCloud.instancePath, () => ({ body: JSON.stringify(instance) }));
  const more = `use_instance_metadata = true\nallowed_metadata_keys = ["role"]`;
  const of = await stateOf(more);
  const there = { ...of, config: { ...of.config, compute_url: new URL(web.url) } };
  await expect(admit(signToken(google.signer), there)).rejects.toThrow(message);
});

test.each([
  [
    'is not allowed to ask',
    { status: 403 },
    /does not show the instance "web-1" of project "blue-project" to this server \(status 403\): its service account needs compute\.instances\.get/,
  ],
  ['is told of no instance', { status: 404 }, /knows no instance "web-1"/],
  ['is told of trouble', { status: 503 }, /answered with status 503/],
  [
    'is sent elsewhere',
    { status: 302, headers: { Location: 'http://127.0.0.1:1/secret?x' } },
    /redirects to "http:\/\/127\.0\.0\.1:1\/secret\?…" \(status 302\), which is not followed/,
  ],
  ['is answered at length', { body: 'x'.repeat(4 * 1024 * 1024 + 1) }, /more than 4194304 bytes/],
  ['is answered in another language', { body: '<html>' }, /what is no JSON/],
] as const)('a server that %s refuses the instance', async (_what, reply, message) => {
  await using web = await LoopbackWeb.start();
  web.pages.set(GoogleCloud.instancePath, () => reply);
  const of = await stateOf('use_instance_metadata = true');
  const there = { ...of, config: { ...of.config, compute_url: new URL(web.url) } };
  await expect(admit(signToken(google.signer), there)).rejects.toThrow(message);
});

test('nobody waits for Google once the agent has gone, nor where it is down', async () => {
  await using web = await LoopbackWeb.start();
  const gone = new AbortController();
  web.pages.set(GoogleCloud.instancePath, () => {
    gone.abort();
    return 'never';
  });
  const of = await stateOf('use_instance_metadata = true');
  const there = { ...of, config: { ...of.config, compute_url: new URL(web.url) } };
  const payload = new Uint8Array(Buffer.from(signToken(google.signer)));
  const attempt = admitInstance(payload, there, { ...context(), signal: gone.signal }, () => Promise.resolve());
  await expect(attempt).rejects.toThrow('the Compute Engine API was not waited for');
  await web[Symbol.asyncDispose]();
  await expect(admit(signToken(google.signer), there)).rejects.toThrow(
    /Compute Engine API at .* did not answer: connect ECONNREFUSED/,
  );
});

test.each([
  ['', /projectid_allow_list/],
  ['projectid_allow_list = []', /must name the projects to admit/],
  [
    'projectid_allow_list = ["a"]\ncertificates_url = "http://example.org/certs"',
    /certificates_url: must be a URL that starts with https:\/\//,
  ],
  ['projectid_allow_list = ["a"]\ncompute_url = "https://user@example.org"', /compute_url: must be a URL/],
  ['projectid_allow_list = ["a"]\nmetadata_host = "a/b"', /metadata_host: must be a host/],
  ['projectid_allow_list = ["a"]\nprojects = ["a"]', /projects/],
])('the configuration %j is refused', (text, message) => {
  expect(() => read(text)).toThrow(message);
});
