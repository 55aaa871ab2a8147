import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { splitCertificates } from '../x509/split-certificates.ts';
import { emptyBundle } from './bundle.ts';
import { SpiffeError } from './error.ts';
import { parseSpiffeId, trustDomainOf } from './spiffe-id.ts';
import { validateX509Svid } from './x509-svid.ts';

/** An answer of `FetchX509SVID`. Source: SPIFFE Workload API §5.2.1. */
export interface X509SvidAnswer {
  readonly svids: readonly {
    readonly spiffeId: string;
    /** DER certificates in a row, leaf first. */
    readonly x509Svid: Uint8Array;
    /** PKCS#8 DER. */
    readonly x509SvidKey: Uint8Array;
    /** DER certificates in a row. */
    readonly bundle: Uint8Array;
    readonly hint: string;
  }[];
  /** By trust domain ID: DER certificates in a row. */
  readonly federatedBundles: Readonly<Record<string, Uint8Array>>;
}

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
export function parseWorkloadSvids({ svids, federatedBundles }: X509SvidAnswer): readonly WorkloadSvid[] {
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
  const { spiffeId: proved, leaf } = validateX509Svid(ders, own, new Date());
  if (proved !== spiffeId) throw new SpiffeError('SVID_INVALID', `the SVID of ${spiffeId} is one of ${proved}`);
  if (!Buffer.from(publicKeyOf(privateKey, spiffeId)).equals(leaf.subjectPublicKeyInfo)) {
    throw new SpiffeError('SVID_INVALID', `the SVID of ${spiffeId} comes with a key that is not its own`);
  }
}

/** SPKI DER. */
function publicKeyOf(privateKey: Uint8Array, spiffeId: string): Uint8Array {
  try {
    const key = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
    return createPublicKey(key).export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw new SpiffeError('SVID_INVALID', `the key of the SVID of ${spiffeId} cannot be read`, { cause });
  }
}

/** DER certificates in a row, one at least. */
function parseCertificates(ders: Uint8Array, what: string): readonly Certificate[] {
  const certificates = splitCertificates(ders, what).map(parseCertificate);
  if (certificates.length === 0) throw new SpiffeError('SVID_INVALID', `the ${what} has no certificate`);
  return certificates;
}
