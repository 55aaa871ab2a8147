import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { admitMachine } from '../../../src/plugins/azure-imds/admit-machine.ts';
import {
  encodeResponse,
  FIRST_PAYLOAD,
  MAX_RESPONSE_BYTES,
} from '../../../src/plugins/azure-imds/attestation-messages.ts';
import { type AzureAttestorState, readState } from '../../../src/plugins/azure-imds/attestor-state.ts';
import { ROOT_CERTIFICATES } from '../../../src/plugins/azure-imds/root-certificates.ts';
import { azureServerConfig } from '../../../src/plugins/azure-imds/server-config.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import {
  AzureCloud,
  documentContent,
  SUBSCRIPTION,
  TENANT_DOMAIN,
  TENANT_ID,
  VM_ID,
} from '../../harness/azure-cloud.ts';
import { OpenSsl } from '../../harness/sign-cms.ts';

const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let azure: AzureCloud;
let state: AzureAttestorState;

const read = (text: string) => readConfigText(azureServerConfig, text, { source: 'plugin_data' });
const stateOf = (tenant = '', more = '', settings = azure.settings) =>
  readState(read(`${settings}\ntenants = { "${TENANT_DOMAIN}" = { ${tenant} } }\n${more}`));

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  azure = resources.use(await AzureCloud.start(openssl));
});
beforeEach(async () => {
  state = await stateOf();
});
afterAll(() => resources.disposeAsync());

interface Answer {
  readonly signature?: string;
  readonly agentDomain?: string;
  readonly scaleSetName?: string | undefined;
}

/** One attestation. @param answer to the nonce, of a machine in order of work where it says nothing else */
async function admit(
  answer: (nonce: string) => Answer | Uint8Array = () => ({}),
  of = state,
  { now = new Date(), firstUse = () => Promise.resolve(), signal = AbortSignal.timeout(20_000) } = {},
) {
  const context = {
    ...{ trustDomain: parseTrustDomain('example.org'), signal, now: () => Promise.resolve(now) },
    randomBytes: (size: number) => Promise.resolve(crypto.getRandomValues(new Uint8Array(size))),
  };
  const server = admitMachine(FIRST_PAYLOAD, of, context, firstUse);
  const { value: challenge } = await server.next();
  const nonce = Buffer.from(challenge as Uint8Array).toString();
  expect(nonce).toMatch(/^[0-9a-f]{32}$/);
  const given = answer(nonce);
  if (given instanceof Uint8Array) return (await server.next(given)).value;
  const response = { encoding: 'pkcs7', agentDomain: TENANT_DOMAIN, scaleSetName: undefined, ...given };
  const signature = given.signature ?? azure.sign(documentContent(nonce));
  return (await server.next(encodeResponse({ ...response, signature }))).value;
}

const SELECTORS = [
  'network-security-group:Frontend:webservers',
  'resource-group:frontend',
  `subscription-id:${SUBSCRIPTION}`,
  'virtual-network-subnet:vnet:default',
  'virtual-network:vnet',
  'vm-location:westus',
  'vm-name:blog',
];

test('a machine gets the ID and the selectors that SPIRE gives it', async () => {
  expect(await admit()).toEqual({
    spiffeId: `spiffe://example.org/spire/agent/azure_imds/${TENANT_ID}/${SUBSCRIPTION}/${VM_ID}`,
    selectorValues: SELECTORS,
    canReattest: false,
  });
});

test('the ID is as the template says', async () => {
  const template = 'agent_path_template = "/azure/{{ .TenantID }}/{{ .VMID }}"';
  expect(await admit(undefined, await stateOf('', template))).toMatchObject({
    spiffeId: `spiffe://example.org/spire/agent/azure/${TENANT_ID}/${VM_ID}`,
  });
});

test('a machine of a scale set is found in its pages', async () => {
  const of = await stateOf('allowed_vm_tags = ["environment", "missing"]');
  expect(await admit(() => ({ scaleSetName: 'web_set' }), of)).toMatchObject({
    selectorValues: [
      'network-security-group:Frontend:servers',
      'resource-group:frontend',
      `subscription-id:${SUBSCRIPTION}`,
      'virtual-network-subnet:vnet:default',
      'virtual-network:vnet',
      'vm-location:westus',
      'vm-name:web_set_1',
      'vm-tag:environment:production',
      'vmss-name:web_set',
    ],
  });
});

test('the authority above the signer is asked for once, or comes along', async () => {
  const asked = () => azure.web.callsOf(AzureCloud.issuerPath).length;
  const before = asked();
  await admit();
  await admit();
  expect(asked()).toBe(before + 1);
  const along = ['-certfile', openssl.write(azure.issuer.certificate)];
  const of = await stateOf();
  await admit((nonce) => ({ signature: azure.sign(documentContent(nonce), azure.signer, ...along) }), of);
  expect(asked()).toBe(before + 1);
});

test.each([
  ['a secret', 'secret_auth = { app_id = "app"\napp_secret = "s3cret" }', { client_secret: 's3cret' }],
  ['a token in a file', 'token_auth = { app_id = "app"\ntoken_path = "TOKEN" }', { client_assertion: 'eyJ.a.b' }],
])('the server shows itself by %s', async (_what, tenant, proof) => {
  const path = `/${TENANT_ID}/oauth2/v2.0/token`;
  const before = azure.web.callsOf(path).length;
  const of = await stateOf(tenant.replace('TOKEN', openssl.write('eyJ.a.b\n')));
  await admit(undefined, of);
  await admit(undefined, of);
  const calls = azure.web.callsOf(path).slice(before);
  expect(calls).toHaveLength(1);
  expect(Object.fromEntries(new URLSearchParams(calls[0]?.body))).toMatchObject({
    ...{ grant_type: 'client_credentials', client_id: 'app', scope: `${azure.web.url}/.default` },
    ...proof,
  });
});

test('a machine that is attested is refused before Azure is asked for it', async () => {
  const before = azure.web.callsOf(AzureCloud.queryPath).length;
  const firstUse = () => Promise.reject(new Error('attested'));
  await expect(admit(undefined, state, { firstUse })).rejects.toThrow('attested');
  expect(azure.web.callsOf(AzureCloud.queryPath)).toHaveLength(before);
});

const of = (changes: Readonly<Record<string, unknown>>) => (nonce: string) => ({
  signature: azure.sign(documentContent(nonce, changes)),
});
const by = (name: string, more?: readonly string[]) => (nonce: string) => ({
  signature: azure.sign(documentContent(nonce), azure.identity(name, more)),
});
const json = (value: unknown) => () => new Uint8Array(Buffer.from(JSON.stringify(value)));

test.each<readonly [string, (nonce: string) => Answer | Uint8Array, RegExp]>([
  ['for another nonce', of({ nonce: '1234567890' }), /has another nonce than this server gave/],
  [
    'that has expired',
    of({ timeStamp: { expiresOn: '11/28/18 06:16:17 -0000' } }),
    /expired at 2018-11-28T06:16:17\.000Z/,
  ],
  [
    'whose end is no time',
    of({ timeStamp: { expiresOn: 'tomorrow' } }),
    /has no time in "timeStamp\.expiresOn": "tomorrow"/,
  ],
  ['of no machine', of({ vmId: '' }), /has no good "vmId"/],
  ['whose machine is a query', of({ vmId: 'x" or 1==1' }), /has no good "vmId"/],
  [
    'of another subscription',
    of({ subscriptionId: crypto.randomUUID() }),
    /this server sees no machine ".*" in the subscription/,
  ],
  ['of another machine', of({ vmId: crypto.randomUUID() }), /this server sees no machine/],
  ['for another tenant', () => ({ agentDomain: 'evil.example' }), /the tenant "evil\.example" is not in "tenants"/],
  ['for a tenant of JavaScript’s', () => ({ agentDomain: '__proto__' }), /the tenant "__proto__" is not in "tenants"/],
  ['of a scale set that is not there', () => ({ scaleSetName: 'other' }), /this server sees no scale set "other"/],
  ['of a scale set that is a query', () => ({ scaleSetName: 'x" | union y' }), /is no name of a scale set/],
  [
    'signed for another domain',
    by('metadata.azure.com.evil.example'),
    /is signed by "metadata\.azure\.com\.evil\.example", which is in none of "allowed_metadata_domains"/,
  ],
  ['signed for a domain that ends alike', by('evilmetadata.azure.com'), /is in none of/],
  [
    'signed by whoever is no server',
    by('metadata.azure.com', ['-addext', 'extendedKeyUsage=codeSigning']),
    /signed with a certificate that is for no server/,
  ],
  ['that is cut', (nonce) => ({ signature: azure.sign(documentContent(nonce)).slice(0, 1000) }), /cannot be read/],
  ['that is no base64', () => ({ signature: '*' }), /is no base64/],
  [
    'without the signer’s certificate',
    (nonce) => ({ signature: azure.sign(documentContent(nonce), azure.signer, '-nocerts') }),
    /comes without the certificate of its signer/,
  ],
  ['that is no JSON', () => ({ signature: azure.sign('no') }), /is no JSON/],
  ['in no message', () => new Uint8Array(Buffer.from('secret')), /the azure_imds response is no JSON text/],
  ['in half a message', json({ document: {} }), /has no good "document\.signature"/],
  [
    'in a message that is too large',
    () => new Uint8Array(MAX_RESPONSE_BYTES + 1),
    /has 131073 bytes, at most 131072 are read/,
  ],
])('a document %s is refused', async (_what, answer, message) => {
  await expect(admit(answer)).rejects.toThrow(message);
});

test('a document whose certificate has ended is refused', async () => {
  const now = new Date(Date.now() + 5 * 24 * 3600 * 1000);
  await expect(admit(undefined, state, { now })).rejects.toThrow(/expired/);
});

test('a document under a root of somebody’s is refused, with the same names', async () => {
  const forged = openssl.identity(
    '/CN=Issuing CA of tests',
    ['rsa:2048'],
    ['-addext', 'basicConstraints=critical,CA:TRUE'],
  );
  const names = ['-addext', 'subjectAltName=DNS:metadata.azure.com', '-addext', 'basicConstraints=CA:FALSE'];
  const signer = openssl.identity('/CN=metadata', ['rsa:2048'], [...names, ...openssl.by(forged)]);
  const along = ['-certfile', openssl.write(forged.certificate)];
  const answer = (nonce: string) => ({ signature: azure.sign(documentContent(nonce), signer, ...along) });
  await expect(admit(answer)).rejects.toThrow(/certificate is nowhere, and only 127\.0\.0\.1:\d+ is asked/);
  const elsewhere = ['-addext', 'authorityInfoAccess=caIssuers;URI:http://169.254.169.254/metadata'];
  const guided = openssl.identity('/CN=metadata', ['rsa:2048'], [...names, ...elsewhere, ...openssl.by(forged)]);
  await expect(admit((nonce) => ({ signature: azure.sign(documentContent(nonce), guided) }))).rejects.toThrow(
    /is at "http:\/\/169\.254\.169\.254\/metadata", and only/,
  );
});

test('the pinned roots alone do not trust the tests’ root', async () => {
  const without = await stateOf('', '', azure.settings.replace(/trust_bundle_path.*/, ''));
  await expect(admit(undefined, without)).rejects.toThrow(/has no chain to a root|no issuer of/);
  const names = [...ROOT_CERTIFICATES].map(([name, base64]) => {
    const { subject, isCa, notAfter } = parseCertificate(new Uint8Array(Buffer.from(base64, 'base64')));
    expect(isCa && notAfter.getUTCFullYear() > 2030, name).toBe(true);
    return Buffer.from(subject).toString('latin1').includes(name);
  });
  expect(names).toEqual([true, true, true]);
});

test('subscriptions may be restricted', async () => {
  const other = await stateOf(`restrict_to_subscriptions = ["${crypto.randomUUID()}"]`);
  await expect(admit(undefined, other)).rejects.toThrow(/is not in "restrict_to_subscriptions" of the tenant/);
  await expect(
    admit(undefined, await stateOf(`restrict_to_subscriptions = ["${SUBSCRIPTION}"]`)),
  ).resolves.toBeDefined();
});

test.each([
  [
    'is refused',
    { status: 403 },
    /lets this server not see the subscription \(status 403\): give its application the role Reader/,
  ],
  ['is told of trouble', { status: 500 }, /answered with status 500/],
  ['is sent elsewhere', { status: 307, headers: { Location: 'http://127.0.0.1:1/' } }, /which is not followed/],
  ['is answered in another language', { body: '<html>' }, /what is no JSON/],
  ['is answered otherwise', { body: '{"data":{}}' }, /something else than is documented, in "data"/],
  [
    'is told of two',
    {
      body: JSON.stringify({
        data: [1, 2].map(() => ({ id: 'x', name: 'x', location: 'x', resourceGroup: 'x', tags: null })),
      }),
    },
    /this server sees 2 machine/,
  ],
] as const)('a server that %s refuses the machine', async (_what, reply, message) => {
  const page = azure.web.pages.get(AzureCloud.queryPath);
  if (page === undefined) throw new Error('there is no such page');
  azure.web.pages.set(AzureCloud.queryPath, () => reply);
  try {
    await expect(admit()).rejects.toThrow(message);
  } finally {
    azure.web.pages.set(AzureCloud.queryPath, page);
  }
});

test('nobody waits for Azure once the agent has gone', async () => {
  const page = azure.web.pages.get(AzureCloud.queryPath);
  if (page === undefined) throw new Error('there is no such page');
  const gone = new AbortController();
  azure.web.pages.set(AzureCloud.queryPath, () => {
    gone.abort();
    return 'never';
  });
  try {
    await expect(admit(undefined, state, { signal: gone.signal })).rejects.toThrow(
      'Azure’s management interface was not waited for',
    );
  } finally {
    azure.web.pages.set(AzureCloud.queryPath, page);
  }
});

test.each<readonly [string, RegExp]>([
  ['', /tenants/],
  ['tenants = {}', /must name a tenant/],
  ['tenants = { "x.example" = { secret_auth = { app_id = "a" } } }', /app_secret/],
  [
    'tenants = { "x.example" = { secret_auth = { app_id = "a"\napp_secret = "b" }\ntoken_auth = { app_id = "a"\ntoken_path = "/t" } } }',
    /has both "secret_auth" and "token_auth"/,
  ],
  ['tenants = { "x.example" = { restrict_to_subscriptions = [" "] } }', /must be the ID of a subscription/],
  ['tenants = { "../x" = {} }', /must be the domain of a tenant|Invalid key/],
  ['tenants = { "x.example" = {} }\nlogin_url = "http://example.org"', /must be a URL that starts with https/],
])('the configuration %j is refused', (text, message) => {
  expect(() => read(text)).toThrow(message);
});

test('a file of roots holds authorities alone', async () => {
  const leaf = azure.settings.replace(azure.root.path, openssl.write(azure.signer.certificate));
  await expect(stateOf('', '', leaf)).rejects.toThrow(
    /trust_bundle_path: ".*" has a certificate that is no authority’s/,
  );
  const empty = azure.settings.replace(azure.root.path, openssl.write('x'));
  await expect(stateOf('', '', empty)).rejects.toThrow(/has no PEM certificate/);
});
