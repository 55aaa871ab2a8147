import { LoopbackWeb, type WebCall } from './loopback-web.ts';
import type { CmsIdentity, OpenSsl } from './sign-cms.ts';

export const TENANT_ID = '72f988bf-86f1-41af-91ab-2d7cd011db47';
export const TENANT_DOMAIN = 'example.onmicrosoft.com';
export const SUBSCRIPTION = 'd5b40d61-272e-48da-beb9-05f295c42bd6';
export const VM_ID = '02aab8a4-74ef-476e-8182-f6d2ba4166a6';
export const ACCESS_TOKEN = 'eyJ0.for-tests';

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/Frontend`;
const NETWORK = `${GROUP}/providers/Microsoft.Network`;
const CONFIGURATIONS = [{ properties: { subnet: { id: `${NETWORK}/virtualNetworks/vnet/subnets/default` } } }];
const TAGS = { environment: 'production', team: 'blue' };

/** As the metadata service has it, good for six hours. */
export function documentContent(nonce: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const stamp = (date: Date) =>
    `${date.toISOString().replace(/^20(\d\d)-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d).*/, '$2/$3/$1 $4')} -0000`;
  const now = Date.now();
  return JSON.stringify({
    licenseType: '',
    nonce,
    plan: { name: '', product: '', publisher: '' },
    sku: '22_04-lts-gen2',
    subscriptionId: SUBSCRIPTION,
    timeStamp: { createdOn: stamp(new Date(now)), expiresOn: stamp(new Date(now + 6 * 3600 * 1000)) },
    vmId: VM_ID,
    ...changes,
  });
}

/** Azure's metadata service, login service, management interface and list of authorities, on loopback. */
export class AzureCloud implements AsyncDisposable {
  static readonly issuerPath = '/pkiops/certs/issuing-ca.crt';
  static readonly queryPath = '/providers/Microsoft.ResourceGraph/resources';
  readonly web: LoopbackWeb;
  readonly openssl: OpenSsl;
  readonly root: CmsIdentity & { readonly path: string };
  readonly issuer: CmsIdentity;
  readonly signer: CmsIdentity;
  /** Of the machine; empty for none. */
  scaleSet = '';

  private constructor(web: LoopbackWeb, openssl: OpenSsl) {
    this.web = web;
    this.openssl = openssl;
    const root = openssl.identity('/CN=Root of tests', ['rsa:2048'], ca());
    this.root = { ...root, path: openssl.write(root.certificate) };
    this.issuer = openssl.identity('/CN=Issuing CA of tests', ['rsa:2048'], [...ca(), ...openssl.by(root)]);
    this.signer = this.identity('westus.metadata.azure.com');
    this.#serve();
  }

  static async start(openssl: OpenSsl): Promise<AzureCloud> {
    return new AzureCloud(await LoopbackWeb.start(), openssl);
  }

  /** A certificate for this name, by the issuer, which says where that is. */
  identity(name: string, more: readonly string[] = ['-addext', 'extendedKeyUsage=serverAuth,clientAuth']): CmsIdentity {
    const where = `authorityInfoAccess=caIssuers;URI:${this.web.url}${AzureCloud.issuerPath}`;
    const extensions = [
      '-addext',
      `subjectAltName=DNS:${name}`,
      '-addext',
      where,
      '-addext',
      'basicConstraints=CA:FALSE',
    ];
    return this.openssl.identity(
      '/CN=metadata',
      ['rsa:2048'],
      [...extensions, ...more, ...this.openssl.by(this.issuer)],
    );
  }

  sign(content: string, signer = this.signer, ...more: readonly string[]): string {
    return Buffer.from(this.openssl.sign(content, signer, ...more)).toString('base64');
  }

  /** Lines of the server's `plugin_data`. */
  get settings(): string {
    return `
      trust_bundle_path = "${this.root.path}"
      ca_issuer_hosts = ["${this.web.host}"]
      login_url = "${this.web.url}"
      management_url = "${this.web.url}"
      metadata_endpoint = "${this.web.url}"`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.web[Symbol.asyncDispose]();
  }

  #serve(): void {
    const { pages } = this.web;
    const json = (value: unknown) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });
    const isOfMetadata = ({ headers, query }: WebCall) => headers.metadata === 'true' && query.has('api-version');
    pages.set('/metadata/attested/document', (call) =>
      isOfMetadata(call)
        ? json({ encoding: 'pkcs7', signature: this.sign(documentContent(call.query.get('nonce') ?? '')) })
        : { status: 400 },
    );
    pages.set('/metadata/instance', (call) =>
      isOfMetadata(call)
        ? json({
            compute: {
              name: 'blog',
              subscriptionId: SUBSCRIPTION,
              resourceGroupName: 'Frontend',
              vmScaleSetName: this.scaleSet,
            },
          })
        : { status: 400 },
    );
    pages.set('/metadata/identity/oauth2/token', (call) =>
      isOfMetadata(call)
        ? json({ access_token: ACCESS_TOKEN, expires_in: '86399', token_type: 'Bearer' })
        : { status: 400 },
    );
    pages.set(AzureCloud.issuerPath, () => ({ body: derOf(this.issuer) }));
    pages.set(`/${TENANT_DOMAIN}/.well-known/openid-configuration`, () =>
      json({ issuer: `https://sts.windows.net/${TENANT_ID}/` }),
    );
    pages.set(`/${TENANT_ID}/oauth2/v2.0/token`, () => json({ access_token: ACCESS_TOKEN, expires_in: 3599 }));
    const withToken = (answer: (call: WebCall) => unknown) => (call: WebCall) =>
      call.headers.authorization === `Bearer ${ACCESS_TOKEN}` ? json(answer(call)) : { status: 401 };
    pages.set(
      AzureCloud.queryPath,
      withToken(({ body }) => ({ data: rowsFor(JSON.parse(body)) })),
    );
    const machines = `/subscriptions/${SUBSCRIPTION}/resourceGroups/frontend/providers/Microsoft.Compute/virtualMachineScaleSets/web_set/virtualMachines`;
    pages.set(
      machines,
      withToken(({ query }) =>
        query.has('page')
          ? { value: [scaleSetMachine('web_set_1', VM_ID)] }
          : {
              value: [scaleSetMachine('web_set_0', crypto.randomUUID())],
              nextLink: `${this.web.url}${machines}?page=2`,
            },
      ),
    );
  }
}

function scaleSetMachine(name: string, vmId: string): object {
  const properties = {
    networkSecurityGroup: { id: `${NETWORK}/networkSecurityGroups/servers` },
    ipConfigurations: CONFIGURATIONS,
  };
  const networkProfileConfiguration = { networkInterfaceConfigurations: [{ name: 'nic', properties }] };
  return { name, location: 'westus', tags: TAGS, properties: { vmId, networkProfileConfiguration } };
}

/** Rows as the query asks for them, in the subscription that it asks for. */
function rowsFor({
  query,
  subscriptions,
}: {
  readonly query: string;
  readonly subscriptions: readonly string[];
}): readonly object[] {
  const id = `${GROUP}/providers/Microsoft.Compute/virtualMachines/blog`;
  if (subscriptions.length !== 1 || subscriptions[0] !== SUBSCRIPTION) return [];
  if (query.includes('networkinterfaces') && query.includes(id)) {
    return [{ securityGroup: `${NETWORK}/networkSecurityGroups/webservers`, ipConfigurations: CONFIGURATIONS }];
  }
  if (query.includes('virtualmachinescalesets') && query.includes('"web_set"')) return [{ resourceGroup: 'frontend' }];
  if (query.includes('virtualmachines"') && query.includes(VM_ID)) {
    return [{ id, name: 'blog', location: 'westus', resourceGroup: 'frontend', tags: TAGS }];
  }
  return [];
}

function ca(): readonly string[] {
  return ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
}

export function derOf({ certificate }: CmsIdentity): Uint8Array {
  const base64 = certificate.replaceAll(/-----[^-]+-----|\s/g, '');
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
