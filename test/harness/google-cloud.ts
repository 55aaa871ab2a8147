import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { LoopbackWeb } from './loopback-web.ts';
import type { OpenSsl } from './sign-cms.ts';

export interface GoogleSigner {
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** PEM. */
  readonly certificate: string;
}

/** An RSA key with a certificate for it that is good for two days. */
export function googleSigner(openssl: OpenSsl, keyId: string): GoogleSigner {
  const { certificate, privateKey } = openssl.identity('/CN=federated-signon');
  return { keyId, privateKey: createPrivateKey(privateKey), certificate };
}

export const INSTANCE = {
  project_id: 'blue-project',
  project_number: 739419398126,
  zone: 'us-west1-b',
  instance_id: '152986662232938449',
  instance_name: 'web-1',
  instance_creation_timestamp: 1496952205,
} as const;
export const SERVICE_ACCOUNT = '739419398126-compute@developer.gserviceaccount.com';

/** As the metadata server gives it for `format=full`, good for an hour. */
export function instanceClaims(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1000);
  return {
    iss: 'https://accounts.google.com',
    aud: 'spire-gcp-node-attestor',
    azp: '102333333333333333333',
    sub: '102333333333333333333',
    email: SERVICE_ACCOUNT,
    email_verified: true,
    ...{ iat, exp: iat + 3600 },
    google: { compute_engine: INSTANCE },
    ...changes,
  };
}

export function signToken(
  signer: GoogleSigner,
  claims: object = instanceClaims(),
  header: Readonly<Record<string, unknown>> = {},
): string {
  const parts = [{ alg: 'RS256', kid: signer.keyId, typ: 'JWT', ...header }, claims];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), signer.privateKey).toString('base64url')}`;
}

/** Google's certificates, a metadata server, its token endpoint and the Compute Engine API, on loopback. */
export class GoogleCloud implements AsyncDisposable {
  static readonly certificatesPath = '/oauth2/v1/certs';
  static readonly tokenPath = '/token';
  static readonly identityPath = '/computeMetadata/v1/instance/service-accounts/default/identity';
  static readonly accessPath = '/computeMetadata/v1/instance/service-accounts/default/token';
  static readonly instancePath =
    `/compute/v1/projects/${INSTANCE.project_id}/zones/${INSTANCE.zone}/instances/${INSTANCE.instance_name}`;
  readonly web: LoopbackWeb;
  readonly signer: GoogleSigner;
  /** Listed. */
  readonly signers: GoogleSigner[];

  private constructor(web: LoopbackWeb, signer: GoogleSigner) {
    this.web = web;
    this.signer = signer;
    this.signers = [signer];
    const json = (value: unknown) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });
    const access = () => json({ access_token: 'ya29.for-tests', expires_in: 3599, token_type: 'Bearer' });
    web.pages.set(GoogleCloud.certificatesPath, () => ({
      ...json(Object.fromEntries(this.signers.map(({ keyId, certificate }) => [keyId, certificate]))),
      headers: { 'Cache-Control': 'public, max-age=19000, must-revalidate, no-transform' },
    }));
    web.pages.set(GoogleCloud.identityPath, ({ headers, query }) => {
      if (headers['metadata-flavor'] !== 'Google' || query.get('format') !== 'full') return { status: 403 };
      return { body: signToken(signer, instanceClaims({ aud: query.get('audience') })) };
    });
    web.pages.set(GoogleCloud.accessPath, ({ headers }) =>
      headers['metadata-flavor'] === 'Google' ? access() : { status: 403 },
    );
    web.pages.set(GoogleCloud.tokenPath, access);
    web.pages.set(GoogleCloud.instancePath, ({ headers }) =>
      headers.authorization === 'Bearer ya29.for-tests'
        ? json({
            id: INSTANCE.instance_id,
            name: INSTANCE.instance_name,
            tags: { items: ['web', 'blue'], fingerprint: 'x' },
            labels: { env: 'prod', empty: '', hidden: 'h' },
            metadata: {
              items: [{ key: 'role', value: 'front' }, { key: 'bare' }, { key: 'startup-script', value: 'x' }],
            },
          })
        : { status: 401 },
    );
  }

  static async start(openssl: OpenSsl): Promise<GoogleCloud> {
    return new GoogleCloud(await LoopbackWeb.start(), googleSigner(openssl, 'key-1'));
  }

  get certificatesUrl(): string {
    return `${this.web.url}${GoogleCloud.certificatesPath}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.web[Symbol.asyncDispose]();
  }
}
