import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { critical } from '../../src/x509/certificate-template.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { createCsr, parseCsr } from '../../src/x509/csr.ts';
import { oid, sequence, tlv } from '../../src/x509/der.ts';
import { encodeName, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { parseSpki } from '../../src/x509/spki.ts';
import { ecSigner, makeCertificate, NOW } from './made-certificate.ts';

const vector = (name: string) => readFileSync(new URL(`../vectors/x509/${name}`, import.meta.url));
const pem = (name: string) => decodePem(vector(name).toString(), 'CERTIFICATE')[0] ?? new Uint8Array();
const constraints = sequence(tlv(0xa0, sequence(tlv(0x86, Buffer.from('.example.org')))));
const root = await makeCertificate({ subject: 'root', extensions: [critical(oid(OID.nameConstraints), constraints)] });
const leaf = await makeCertificate({ subject: 'leaf', issuer: root, isCa: false });

const certificates = [
  ['EK, RSA', vector('ek-rsa2048.nv.der')],
  ['EK, P-384', vector('ek-ecc384.nv.der')],
  ['CA of swtpm', pem('swtpm-localca-cert.pem')],
  ['CA with name constraints', root.certificate.der],
  ['leaf', leaf.certificate.der],
] as const;

/** Every octet flipped in one bit and in all, set to 00 and ff, left out, doubled; every truncation. */
function* mutationsOf(der: Uint8Array): Generator<Uint8Array> {
  for (let index = 0; index < der.length; index++) {
    const octet = der[index] ?? 0;
    for (const value of [octet ^ (1 << (index % 8)), octet ^ 0x80, octet ^ 0xff, 0x00, 0xff, octet + 1, octet - 1]) {
      if ((value & 0xff) !== octet) yield der.with(index, value);
    }
    yield Uint8Array.from([...der.subarray(0, index), ...der.subarray(index + 1)]);
    yield Uint8Array.from([...der.subarray(0, index), octet, ...der.subarray(index)]);
    yield der.subarray(0, index);
  }
}

/** Runs `use` and tells whether it took its input; every error but a SpiffeError goes through. */
function isTaken(use: () => void): boolean {
  try {
    use();
    return true;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return false;
  }
}

describe('no mutation does more than be refused', () => {
  test.each(certificates)('%s: reading', (_name, der) => {
    let taken = 0;
    for (const mutation of mutationsOf(new Uint8Array(der))) {
      const wasTaken = isTaken(() => {
        const certificate = parseCertificate(mutation);
        formatName(certificate.subject);
        formatName(certificate.issuer);
        isTaken(() => parseSpki(certificate.subjectPublicKeyInfo));
      });
      if (wasTaken) taken++;
    }
    expect(taken).toBeGreaterThan(100); // key and signature bits, which reading does not judge
  });

  test('a leaf: no mutation verifies', () => {
    for (const mutation of mutationsOf(leaf.certificate.der)) {
      const roots = [root.certificate];
      const verify = () => verifyChain({ leaf: parseCertificate(mutation), intermediates: [], roots, now: NOW });
      expect(isTaken(verify)).toBe(false);
    }
  });

  test('a root: any mutation that still verifies the leaf has its key', () => {
    for (const mutation of mutationsOf(root.certificate.der)) {
      isTaken(() => {
        const roots = [parseCertificate(mutation)];
        verifyChain({ leaf: leaf.certificate, intermediates: [], roots, now: NOW });
        expect(roots[0]?.subjectPublicKeyInfo).toEqual(root.certificate.subjectPublicKeyInfo);
      });
    }
  });

  test('a CSR: no mutation proves possession', async () => {
    const subject = encodeName({ commonName: 'x' });
    const der = await createCsr({ signer: ecSigner(), subject, uriNames: ['spiffe://example.org/a'], dnsNames: ['a'] });
    expect(isTaken(() => parseCsr(der))).toBe(true);
    for (const mutation of mutationsOf(der)) expect(isTaken(() => parseCsr(mutation))).toBe(false);
  });

  test('noise', () => {
    let state = 1;
    const next = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    };
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: next() % 64 }, () => next() & 0xff);
      const framed = round % 2 === 0 ? bytes : sequence(sequence(bytes), bytes);
      expect(isTaken(() => parseCertificate(framed))).toBe(false);
      expect(isTaken(() => parseCsr(framed))).toBe(false);
      expect(isTaken(() => parseSpki(framed))).toBe(false);
    }
  });
});
