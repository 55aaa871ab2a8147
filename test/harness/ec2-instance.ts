import type { LoopbackWeb } from './loopback-web.ts';
import type { CmsIdentity, OpenSsl } from './sign-cms.ts';

export const REGION = 'us-west-2';
export const IMDS_TOKEN = 'AQAEAH-for-tests==';

/** As the metadata service writes it. */
export function identityDocument(changes: Readonly<Record<string, unknown>> = {}): string {
  const document = {
    accountId: '123456789012',
    architecture: 'x86_64',
    availabilityZone: `${REGION}a`,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: 'ami-03cf127a',
    instanceId: 'i-1234567890abcdef0',
    instanceType: 't3.micro',
    kernelId: null,
    pendingTime: '2026-11-19T16:32:11Z',
    privateIp: '10.158.112.84',
    ramdiskId: null,
    region: REGION,
    version: '2017-09-30',
    ...changes,
  };
  return JSON.stringify(document, null, 2).replaceAll('": ', '" : ');
}

/** What AWS' keys are to a region: a certificate in a file. */
export function regionSigner(openssl: OpenSsl): CmsIdentity & { readonly path: string } {
  const signer = openssl.identity('/C=US/ST=Washington State/L=Seattle/O=Amazon Web Services LLC');
  return { ...signer, path: openssl.write(signer.certificate) };
}

/** The endpoint `rsa2048`: BER in lines, without certificates, as AWS has it. */
export function signDocument(
  openssl: OpenSsl,
  signer: CmsIdentity,
  document: string,
  ...more: readonly string[]
): string {
  const ber = openssl.sign(document, signer, '-nocerts', '-stream', '-md', 'sha256', ...more);
  return (
    Buffer.from(ber)
      .toString('base64')
      .match(/.{1,76}/g) ?? []
  ).join('\n');
}

/** An instance metadata service, of which one asks with tokens only. */
export function serveInstance(web: LoopbackWeb, document: string, rsa2048: string): void {
  web.pages.set('/latest/api/token', ({ method, headers }) =>
    method === 'PUT' && headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
      ? { body: IMDS_TOKEN }
      : { status: 400 },
  );
  const pages = { document, signature: 'c2lnbmF0dXJl', rsa2048 };
  for (const [name, body] of Object.entries(pages)) {
    web.pages.set(`/latest/dynamic/instance-identity/${name}`, ({ headers }) =>
      headers['x-aws-ec2-metadata-token'] === IMDS_TOKEN ? { body } : { status: 401 },
    );
  }
}
