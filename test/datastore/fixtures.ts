import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { NewAgent } from '../../src/datastore/agent-repository.ts';
import type { NewEntry } from '../../src/datastore/entry-repository.ts';
import { type Bundle, emptyBundle, type JwtAuthority, type X509Authority } from '../../src/spiffe/bundle.ts';
import { parseSelector, type Selector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId, type SpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';

export const TRUST_DOMAIN = parseTrustDomain('example.org');

export function id(path: string): SpiffeId {
  return parseSpiffeId(`spiffe://example.org/${path}`);
}

export function selectors(...texts: string[]): readonly Selector[] {
  return texts.map(parseSelector);
}

export function newEntry(changes: Partial<NewEntry> = {}): NewEntry {
  return {
    id: '',
    parentId: id('spire/agent/tpm/node'),
    spiffeId: id('workload'),
    selectors: selectors('unix:uid:1000'),
    x509SvidTtlSeconds: 0,
    jwtSvidTtlSeconds: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    dnsNames: [],
    expiresAt: 0,
    hint: '',
    jwtSvidIncludeJti: false,
    disableX509SvidPrefetch: false,
    ...changes,
  };
}

export function newAgent(changes: Partial<NewAgent> = {}): NewAgent {
  return {
    spiffeId: id('spire/agent/tpm/node'),
    attestationType: 'tpm',
    serialNumber: '1234',
    expiresAt: 1_800_003_600,
    canReattest: true,
    selectors: selectors('tpm:pub_hash:abc'),
    ...changes,
  };
}

export function bundleOf(
  trustDomain: string,
  x509Authorities: readonly X509Authority[] = [],
  jwtAuthorities: readonly JwtAuthority[] = [],
): Bundle {
  return { ...emptyBundle(parseTrustDomain(trustDomain)), x509Authorities, jwtAuthorities };
}

export function jwtAuthority(keyId: string, expiresAt = 0): JwtAuthority {
  return { keyId, publicKey: Buffer.from(`key ${keyId}`), expiresAt, tainted: false };
}

export interface TestAuthority {
  readonly authority: X509Authority;
  /** Hex. */
  readonly subjectKeyId: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** A CA certificate that openssl makes. */
export async function x509Authority(days: number): Promise<TestAuthority> {
  const { stdout } = await promisify(execFile)(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'].concat([
      '-subj',
      '/O=test',
      '-days',
      String(days),
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    ]),
    { encoding: 'utf8' },
  );
  const { raw, validToDate } = new X509Certificate(stdout);
  const { subjectKeyId } = parseCertificate(raw);
  return {
    authority: { certificate: raw, tainted: false },
    subjectKeyId: Buffer.from(subjectKeyId ?? []).toString('hex'),
    expiresAt: validToDate.getTime() / 1000,
  };
}
