import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { authorityKeyIdExtension, critical, optional } from '../../src/x509/certificate-template.ts';
import { type ChainOptions, verifyChain } from '../../src/x509/chain.ts';
import { derNull, oid, sequence, Tag, tlv } from '../../src/x509/der.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { ecSigner, HOUR_MS, type Made, makeCertificate, NOW } from './made-certificate.ts';

const authorityKeyId = ({ certificate }: Made) => authorityKeyIdExtension(certificate.subjectKeyId ?? new Uint8Array());
const keyUsage = (octet: number) => critical(oid(OID.keyUsage), tlv(Tag.bitString, Uint8Array.of(0, octet)));

const root = await makeCertificate({ subject: 'root' });
const middle = await makeCertificate({ subject: 'middle', issuer: root, extensions: [authorityKeyId(root)] });
const leaf = await makeCertificate({
  subject: 'leaf',
  issuer: middle,
  isCa: false,
  extensions: [authorityKeyId(middle)],
});

function verify(made: Made, intermediates: readonly Made[], roots: readonly Made[], more: Partial<ChainOptions> = {}) {
  const certificates = (all: readonly Made[]) => all.map(({ certificate }) => certificate);
  const options = { leaf: made.certificate, intermediates: certificates(intermediates), roots: certificates(roots) };
  return verifyChain({ ...options, now: NOW, ...more });
}
const chainOf = (...all: readonly Made[]) => all.map(({ certificate }) => certificate);
const rejects = (message: RegExp) =>
  expect.objectContaining({ code: 'CERTIFICATE_UNTRUSTED', message: expect.stringMatching(message) });

describe('paths (RFC 5280 §6.1)', () => {
  test('leaf, intermediate, root', () => {
    expect(verify(leaf, [middle], [root])).toEqual(chainOf(leaf, middle, root));
  });

  test('a CA may be the leaf', () => expect(verify(middle, [], [root])).toEqual(chainOf(middle, root)));

  test('an anchor need not be self-signed', () => expect(verify(leaf, [], [middle])).toEqual(chainOf(leaf, middle)));

  test('what does not help is passed over, order does not matter', async () => {
    const other = await makeCertificate({ subject: 'other' });
    expect(verify(leaf, [other, root, leaf, middle], [other, root])).toEqual(chainOf(leaf, middle, root));
  });

  test('two CAs with one name: the one that signed is found', async () => {
    const twin = await makeCertificate({ subject: 'middle', issuer: root, withoutSubjectKeyId: true });
    expect(verify(leaf, [twin, middle], [root])).toEqual(chainOf(leaf, middle, root));
  });

  test('an issuer of the same name without key identifiers: O=x below O=x below O=x', async () => {
    const plain = { subject: 'x', withoutSubjectKeyId: true };
    const top = await makeCertificate(plain);
    const below = await makeCertificate({ ...plain, issuer: top });
    const last = await makeCertificate({ ...plain, issuer: below, isCa: false });
    expect(verify(last, [below], [top])).toEqual(chainOf(last, below, top));
    expect(verify(last, [top, below], [top])).toEqual(chainOf(last, below, top));
  });

  test('a cross-certified CA: back from a dead end', async () => {
    const expired = await makeCertificate({ subject: 'old', notAfter: new Date(NOW.getTime() - 1000) });
    const cross = await makeCertificate({ subject: 'middle', issuer: expired, signer: middle.signer });
    expect(verify(leaf, [cross, middle], [expired, root])).toEqual(chainOf(leaf, middle, root));
  });

  test('CAs that certified each other end the search', async () => {
    const a = await makeCertificate({ subject: 'a' });
    const b = await makeCertificate({ subject: 'b', issuer: a });
    const aByB = await makeCertificate({ subject: 'a', issuer: b, signer: a.signer });
    const end = await makeCertificate({ subject: 'end', issuer: aByB, isCa: false });
    expect(() => verify(end, [aByB, b], [root])).toThrow(rejects(/no issuer of/));
  });
});

describe('refusals', () => {
  const make = (options: Parameters<typeof makeCertificate>[0]) => makeCertificate({ issuer: root, ...options });
  const unknownCritical = critical(oid('1.2.3.4'), derNull());
  const below = (issuer: Made) => makeCertificate({ subject: 'leaf', issuer, isCa: false });
  const late = new Date(NOW.getTime() + 2 * HOUR_MS);

  test.each([
    ['an unknown issuer', '§6.1.3 (a)(4)', async () => verify(leaf, [], [root]), /issued by "O=middle"/],
    ['no roots', '§6.1.1 (d)', async () => verify(leaf, [middle], []), /no issuer of/],
    ['a root as its own leaf', 'ours', async () => verify(root, [], [root]), /no issuer of/],
    [
      'a leaf signed by somebody else',
      '§6.1.3 (a)(1)',
      async () => verify(await make({ subject: 'l', forgedBy: ecSigner() }), [], [root]),
      /"O=root" did not sign the certificate "O=l"/,
    ],
    [
      'an intermediate signed by somebody else',
      '§6.1.3 (a)(1)',
      async () => {
        const forged = await make({ subject: 'm', forgedBy: ecSigner() });
        return verify(await below(forged), [forged], [root]);
      },
      /"O=root" did not sign the certificate "O=m"/,
    ],
    [
      'an expired leaf',
      '§6.1.3 (a)(2)',
      async () => verify(await make({ subject: 'l', notAfter: new Date(NOW.getTime() - 1000) }), [], [root]),
      /expired at/,
    ],
    [
      'a leaf of tomorrow',
      '§6.1.3 (a)(2)',
      async () => verify(await make({ subject: 'l', notBefore: new Date(NOW.getTime() + 1000) }), [], [root]),
      /not valid before/,
    ],
    [
      'an expired intermediate',
      '§6.1.3 (a)(2)',
      async () => {
        const old = await make({ subject: 'm', notAfter: new Date(NOW.getTime() - 1000) });
        return verify(await below(old), [old], [root]);
      },
      /"O=m" expired/,
    ],
    [
      'an expired root',
      'ours',
      async () =>
        verify(
          await makeCertificate({ subject: 'l', issuer: root, notAfter: new Date(late.getTime() + 1) }),
          [],
          [root],
          { now: late },
        ),
      /"O=root" expired/,
    ],
    [
      'an issuer without basicConstraints',
      '§6.1.4 (k)',
      async () => {
        const none = await make({ subject: 'm', isCa: false });
        return verify(await below(none), [none], [root]);
      },
      /"O=m" is no CA/,
    ],
    [
      'an issuer without keyCertSign',
      '§6.1.4 (n)',
      async () => {
        const signer = await make({ subject: 'm', extensions: [keyUsage(0x80)] });
        return verify(await below(signer), [signer], [root]);
      },
      /may not sign certificates/,
    ],
    [
      'a path length of 0 with an intermediate',
      '§6.1.4 (m)',
      async () => {
        const short = await makeCertificate({ subject: 'short', pathLength: 0 });
        const one = await makeCertificate({ subject: 'one', issuer: short });
        return verify(await below(one), [one], [short]);
      },
      /allows 0 CA certificates below it, there are 1/,
    ],
    [
      'a path length of 0 with a self-issued intermediate',
      'ours, over §6.1.4 (l)',
      async () => {
        const short = await makeCertificate({ subject: 'x', pathLength: 0 });
        const one = await makeCertificate({ subject: 'x', issuer: short });
        return verify(await below(one), [one], [short]);
      },
      /allows 0 CA certificates/,
    ],
    [
      'an unknown critical extension in the leaf',
      '§6.1.5 (f)',
      async () => verify(await make({ subject: 'l', extensions: [unknownCritical] }), [], [root]),
      /critical extension 1\.2\.3\.4/,
    ],
    [
      'an unknown critical extension in an issuer',
      '§6.1.4 (o)',
      async () => {
        const odd = await make({ subject: 'm', extensions: [unknownCritical] });
        return verify(await below(odd), [odd], [root]);
      },
      /"O=m" has a critical extension 1\.2\.3\.4/,
    ],
    [
      'a critical SAN of names unknown here',
      '§4.2',
      async () =>
        verify(
          await make({
            subject: 'l',
            extensions: [critical(oid(OID.subjectAltName), sequence(tlv(0x88, Uint8Array.of(0x55, 4))))],
          }),
          [],
          [root],
        ),
      /critical subjectAltName without/,
    ],
    [
      'another key identifier',
      '§4.2.1.1',
      async () => verify(await make({ subject: 'l', extensions: [authorityKeyId(middle)] }), [], [root]),
      /another key identifier/,
    ],
    [
      'a chain over the depth',
      'cap',
      async () => verify(leaf, [middle], [root], { maxDepth: 2 }),
      /more than 2 certificates/,
    ],
    ['65 intermediates', 'cap', async () => verify(leaf, Array(65).fill(middle), [root]), /more than 64/],
    [
      'a signature algorithm that is not accepted',
      '§4.1.1.2',
      async () => {
        const { der } = (await make({ subject: 'l' })).certificate;
        const sha1 = Buffer.from(
          Buffer.from(der).toString('hex').replaceAll('2a8648ce3d040302', '2a8648ce3d040301'),
          'hex',
        );
        return verifyChain({ leaf: parseCertificate(sha1), intermediates: [], roots: [root.certificate], now: NOW });
      },
      /algorithm 1\.2\.840\.10045\.4\.3\.1 are not accepted/,
    ],
  ] as const)('%s (RFC 5280 %s)', async (_rule, _section, run, message) => {
    await expect(run()).rejects.toThrow(rejects(message));
  });

  test('the number of signatures tried is capped', async () => {
    const twins = await Promise.all(
      Array.from({ length: 100 }, () => makeCertificate({ subject: 'middle', withoutSubjectKeyId: true })),
    );
    expect(() => verify(leaf, [], twins)).toThrow(rejects(/did not sign/));
    expect(() => verify(leaf, [], [...twins, middle])).toThrow(rejects(/did not sign/));
  });
});

describe('the unbroken neighbours of those', () => {
  test('dates are inclusive (§4.1.2.5)', async () => {
    const { notBefore, notAfter } = leaf.certificate;
    expect(verify(leaf, [middle], [root], { now: notBefore })).toHaveLength(3);
    expect(verify(leaf, [middle], [root], { now: notAfter })).toHaveLength(3);
    expect(verify(leaf, [middle], [root], { now: new Date(notAfter.getTime() + 999) })).toHaveLength(3);
    expect(() => verify(leaf, [middle], [root], { now: new Date(notAfter.getTime() + 1000) })).toThrow(
      rejects(/expired/),
    );
    expect(() => verify(leaf, [middle], [root], { now: new Date(notBefore.getTime() - 1) })).toThrow(rejects(/before/));
  });

  test('a path length that suffices (§4.2.1.9)', async () => {
    const one = await makeCertificate({ subject: 'one', pathLength: 1 });
    const zero = await makeCertificate({ subject: 'zero', issuer: one, pathLength: 0 });
    const end = await makeCertificate({ subject: 'end', issuer: zero, isCa: false });
    expect(verify(end, [zero], [one])).toEqual(chainOf(end, zero, one));
  });

  test('a critical extension that the caller understands (§4.2)', async () => {
    const extensions = [critical(oid('1.2.3.4'), derNull())];
    const end = await makeCertificate({ subject: 'end', issuer: root, extensions });
    expect(verify(end, [], [root], { understoodCriticalExtensions: ['1.2.3.4'] })).toEqual(chainOf(end, root));
  });

  test('an unknown extension that is not critical (§4.2)', async () => {
    const extensions = [optional(oid('1.2.3.4'), derNull()), keyUsage(0x04)];
    const ca = await makeCertificate({ subject: 'ca', extensions });
    const end = await makeCertificate({ subject: 'end', issuer: ca, isCa: false });
    expect(verify(end, [], [ca])).toEqual(chainOf(end, ca));
  });
});

test.each(['ek-rsa2048.nv.der', 'ek-ecc384.nv.der', 'platform-cert.nv.der'])('%s chains to its root', (name) => {
  const read = (file: string) => readFileSync(new URL(`../vectors/x509/${file}`, import.meta.url));
  const pem = (file: string) => decodePem(read(file).toString(), 'CERTIFICATE').map(parseCertificate);
  const intermediates = pem('swtpm-localca-cert.pem');
  const roots = pem('swtpm-localca-rootca-cert.pem');
  const end = parseCertificate(read(name));
  const now = new Date(end.notBefore.getTime() + HOUR_MS);
  expect(verifyChain({ leaf: end, intermediates, roots, now })).toEqual([end, ...intermediates, ...roots]);
  expect(verifyChain({ leaf: end, intermediates, roots, now: end.notAfter })).toHaveLength(3);
});
