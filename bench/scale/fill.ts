import { generateKeyPairSync } from 'node:crypto';
import type { Datastore } from '../../src/datastore/datastore.ts';
import type { NewEntry } from '../../src/datastore/entry-repository.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { agentId, parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../src/x509/ca-template.ts';
import { encodeName } from '../../src/x509/name.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { TRUST_DOMAIN } from '../process/server.ts';

/** What there may be more of. */
export type ScaledKind = 'entry' | 'agent' | 'federated bundle';

/** Stores things with the numbers from `from` up to `to`. */
export type Fill = (datastore: Datastore, from: number, to: number) => Promise<void>;

const ENTRIES_A_STEP = 1000;
/** So many nodes share the entries. */
const NODES = 1000;
const trustDomain = parseTrustDomain(TRUST_DOMAIN);
const node = (number: number) => agentId(trustDomain, 'tpm', number.toString(16).padStart(64, '0'));
const IN_TEN_YEARS = Math.floor(Date.now() / 1000) + 315_360_000;

export const FILLS: Readonly<Record<ScaledKind, Fill>> = {
  entry: async (datastore, from, to) => {
    for (let start = from; start < to; start += ENTRIES_A_STEP) {
      const numbers = numbersBetween(start, Math.min(start + ENTRIES_A_STEP, to));
      await datastore.entries.createMany(numbers.map(entryOf));
    }
  },
  agent: async (datastore, from, to) => {
    await datastore.transaction(async ({ agents }) => {
      for (const number of numbersBetween(from, to)) {
        await agents.create({
          spiffeId: node(number),
          attestationType: 'tpm',
          serialNumber: (2n ** 127n + BigInt(number)).toString(),
          expiresAt: IN_TEN_YEARS,
          canReattest: true,
          selectors: [{ type: 'tpm', value: `pub_hash:${number.toString(16).padStart(64, '0')}` }],
        });
      }
    });
  },
  'federated bundle': async (datastore, from, to) => {
    for (const number of numbersBetween(from, to)) {
      const partner = parseTrustDomain(`partner-${number}.example`);
      await datastore.bundles.create({
        ...emptyBundle(partner),
        x509Authorities: [{ certificate: await caOf(partner), tainted: false }],
        jwtAuthorities: [
          { keyId: `key-${number}`, publicKey: signer.publicKey, expiresAt: IN_TEN_YEARS, tainted: false },
        ],
      });
    }
  },
};

const numbersBetween = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

function entryOf(number: number): NewEntry {
  return {
    id: '',
    parentId: node(number % NODES),
    spiffeId: parseSpiffeId(`spiffe://${TRUST_DOMAIN}/ns/namespace-${number % 50}/sa/service-${number}`),
    selectors: [
      { type: 'k8s', value: `ns:namespace-${number % 50}` },
      { type: 'k8s', value: `sa:service-${number}` },
    ],
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
  };
}

/** One key for all: they are to be stored, not believed. */
const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

async function caOf(partner: ReturnType<typeof parseTrustDomain>): Promise<Uint8Array> {
  return await issueCaCertificate({
    issuer: 'self',
    signer,
    subject: encodeName({ country: 'US', organization: 'SPIFFE', commonName: partner }),
    trustDomain: partner,
    serialNumber: new Uint8Array(16).fill(0x5a),
    notBefore: new Date(),
    notAfter: new Date(IN_TEN_YEARS * 1000),
  });
}
