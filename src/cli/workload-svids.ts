import { createPrivateKey } from 'node:crypto';
import type { X509SVIDResponse } from '../gen/workload/workload.ts';
import { emptyBundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import { validateX509Svid } from '../spiffe/x509-svid.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { DerReader, Tag } from '../x509/der.ts';
import { formatTime } from './output.ts';

/** An identity of the Workload API, parsed and checked against its bundle. */
export interface WorkloadSvid {
  readonly spiffeId: string;
  readonly hint: string;
  /** Leaf first. */
  readonly chain: readonly Certificate[];
  /** PKCS#8 DER. */
  readonly privateKey: Uint8Array;
  readonly bundle: readonly Certificate[];
  /** By trust domain ID, in order. */
  readonly federatedBundles: ReadonlyMap<string, readonly Certificate[]>;
}

/** @throws SpiffeError where the answer is not what the standard wants, or an SVID does not verify */
export function parseWorkloadSvids({ svids, federatedBundles }: X509SVIDResponse): readonly WorkloadSvid[] {
  if (svids.length === 0) throw new SpiffeError('NO_IDENTITY', 'the answer of the agent has no SVID');
  const federated = Object.entries(federatedBundles)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([trustDomain, bundle]) => [trustDomain, parseCertificates(bundle, `bundle of ${trustDomain}`)] as const);
  return svids.map((svid) => {
    const what = `SVID of ${svid.spiffeId}`;
    const parsed = {
      spiffeId: svid.spiffeId,
      hint: svid.hint,
      chain: parseCertificates(svid.x509Svid, what),
      privateKey: svid.x509SvidKey,
      bundle: parseCertificates(svid.bundle, `bundle of the ${what}`),
      federatedBundles: new Map(federated),
    };
    requireValid(parsed);
    return parsed;
  });
}

function requireValid({ spiffeId, chain, bundle, privateKey }: WorkloadSvid): void {
  const x509Authorities = bundle.map(({ der }) => ({ certificate: der, tainted: false }));
  const own = { ...emptyBundle(trustDomainOf(parseSpiffeId(spiffeId))), x509Authorities };
  const ders = chain.map(({ der }) => der);
  const { spiffeId: proved } = validateX509Svid(ders, own, new Date());
  if (proved !== spiffeId) throw new SpiffeError('SVID_INVALID', `the SVID of ${spiffeId} is one of ${proved}`);
  try {
    createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new SpiffeError('SVID_INVALID', `the key of the SVID of ${spiffeId} cannot be read`, { cause });
  }
}

/** DER certificates in a row, one at least. */
function parseCertificates(ders: Uint8Array, what: string): readonly Certificate[] {
  const certificates: Certificate[] = [];
  const reader = new DerReader(ders);
  while (!reader.isAtEnd) certificates.push(parseCertificate(reader.readRaw(Tag.sequence, what)));
  if (certificates.length === 0) throw new SpiffeError('SVID_INVALID', `the ${what} has no certificate`);
  return certificates;
}

/** The SVIDs as SPIRE's command line shows them. */
export function formatWorkloadSvids(svids: readonly WorkloadSvid[], elapsedMs: number): string {
  const count = svids.length === 1 ? '1 svid' : `${svids.length} svids`;
  return `Received ${count} after ${elapsedMs.toFixed(3)}ms\n${svids.map((svid) => `\n${formatSvid(svid)}`).join('')}\n`;
}

function formatSvid({ spiffeId, hint, chain, bundle, federatedBundles }: WorkloadSvid): string {
  const [leaf, ...intermediates] = chain;
  const lines = [
    `SPIFFE ID:\t\t${spiffeId}`,
    ...(hint === '' ? [] : [`Hint:\t\t\t${hint}`]),
    ...(leaf === undefined ? [] : validity('SVID', leaf)),
    ...intermediates.flatMap((certificate, index) => validity(`Intermediate #${index + 1}`, certificate)),
    ...bundle.flatMap((certificate, index) => validity(`CA #${index + 1}`, certificate)),
    ...[...federatedBundles].flatMap(([trustDomain, certificates]) =>
      certificates.flatMap((certificate, index) => validity(`[${trustDomain}] CA #${index + 1}`, certificate)),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function validity(what: string, { notBefore, notAfter }: Certificate): readonly string[] {
  return [`${what} Valid After:\t${formatTime(notBefore)}`, `${what} Valid Until:\t${formatTime(notAfter)}`];
}
