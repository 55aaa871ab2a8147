import type { HelperConfig } from '../config/helper-config.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { WorkloadSvid } from '../spiffe/workload-svid.ts';
import type { Certificate } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';
import type { WrittenFile } from './publisher.ts';

/**
 * The files of one identity in the order in which they are put in place: what the certificate needs comes before it. The
 * bundle first, so that a peer with the new certificate is trusted; the key next; the certificate last.
 */
export function x509Files(
  svid: WorkloadSvid,
  { svid: svidFile, key, bundle, intermediatesInBundle, withFederated, omitExpired }: NonNullable<HelperConfig['x509']>,
  now: Date,
): readonly WrittenFile[] {
  const [leaf, ...intermediates] = svid.chain;
  const authorities = [...svid.bundle, ...(withFederated ? [...svid.federatedBundles.values()].flat() : [])].filter(
    ({ notAfter }) => !omitExpired || notAfter > now,
  );
  const chain = intermediatesInBundle ? [leaf] : [leaf, ...intermediates];
  const chainPem = pemOf(chain.filter((certificate) => certificate !== undefined));
  const keyPem = encodePem('PRIVATE KEY', svid.privateKey);
  const bundlePem = pemOf([...authorities, ...(intermediatesInBundle ? intermediates : [])]);
  const bundleFile = { ...bundle, content: bundlePem };
  if (key.name === svidFile.name) return [bundleFile, { ...key, content: `${chainPem}${keyPem}` }];
  return [bundleFile, { ...key, content: keyPem }, { ...svidFile, content: chainPem }];
}

function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}

/** The identity with the hint that is wanted, or the first one. @throws SpiffeError `NO_IDENTITY` */
export function chooseByHint<Svid extends { readonly hint: string; readonly spiffeId: string }>(
  svids: readonly Svid[],
  hint: string,
): Svid {
  const found = hint === '' ? svids[0] : svids.find((svid) => svid.hint === hint);
  if (found !== undefined) return found;
  if (hint === '') throw new SpiffeError('NO_IDENTITY', 'the answer of the agent has no SVID');
  const known = svids.map((svid) => `${svid.spiffeId} has ${JSON.stringify(svid.hint)}`).join(', ');
  throw new SpiffeError('NO_IDENTITY', `no identity has the hint ${JSON.stringify(hint)}: ${known}`);
}
