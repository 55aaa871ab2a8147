import { describe, expect, test } from 'vitest';
import { critical, optional } from '../../src/x509/certificate-template.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { oid, sequence, tlv } from '../../src/x509/der.ts';
import { encodeName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { makeCertificate, NOW } from './made-certificate.ts';

const dns = (text: string) => tlv(0x82, Buffer.from(text));
const uri = (text: string) => tlv(0x86, Buffer.from(text));
const email = (text: string) => tlv(0x81, Buffer.from(text));
const ip = (...octets: readonly number[]) => tlv(0x87, Uint8Array.from(octets));
const directory = (organization: string) => tlv(0xa4, encodeName({ organization }));

const subtrees = (tag: number, bases: readonly Uint8Array[]) =>
  bases.length === 0 ? [] : [tlv(tag, ...bases.map((base) => sequence(base)))];
const constraints = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[]) =>
  critical(oid(OID.nameConstraints), sequence(...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded)));

async function check(extension: Uint8Array, names: readonly Uint8Array[], subject = 'leaf') {
  const root = await makeCertificate({ subject: 'root', extensions: [extension] });
  const middle = await makeCertificate({ subject: 'leaf', issuer: root });
  const extensions = names.length === 0 ? [] : [optional(oid(OID.subjectAltName), sequence(...names))];
  const { certificate } = await makeCertificate({ subject, issuer: middle, isCa: false, extensions });
  return verifyChain({
    leaf: certificate,
    intermediates: [middle.certificate],
    roots: [root.certificate],
    now: NOW,
  });
}

describe('RFC 5280 §4.2.1.10', () => {
  test.each([
    ['the DNS name itself', [dns('example.org')], [], [dns('example.org')]],
    ['a name below', [dns('example.org')], [], [dns('a.b.Example.ORG')]],
    ['a name below a leading period', [dns('.example.org')], [], [dns('a.example.org')]],
    ['any of several', [dns('example.com'), dns('example.org')], [], [dns('a.example.org')]],
    ['every DNS name', [dns('')], [], [dns('example.net')]],
    ['another form than the constrained one', [dns('example.org')], [], [uri('spiffe://other/x')]],
    ['no name at all', [dns('example.org')], [], []],
    ['a URI whose host it is', [uri('example.org')], [], [uri('spiffe://example.org/a')]],
    ['a URI with port and user', [uri('example.org')], [], [uri('https://u:p@example.org:8443/a')]],
    ['a URI below a leading period', [uri('.example.org')], [], [uri('spiffe://td.example.org')]],
    ['a URI that is not excluded', [], [uri('.example.org')], [uri('spiffe://example.org/a')]],
    ['an address within', [ip(10, 0, 0, 0, 255, 0, 0, 0)], [], [ip(10, 9, 8, 7)]],
    ['a directory name within', [directory('LEAF ')], [], []],
    ['an e-mail constraint without an e-mail', [email('example.org')], [], [dns('a')]],
  ] as const)('takes %s', async (_rule, permitted, excluded, names) => {
    await expect(check(constraints(permitted, excluded), names)).resolves.toHaveLength(3);
  });

  test.each([
    ['another DNS name', [dns('example.org')], [], [dns('example.com')], /DNS name example\.com is not permitted/],
    ['a DNS name that merely ends alike', [dns('example.org')], [], [dns('badexample.org')], /not permitted/],
    ['the parent of a leading period', [dns('.example.org')], [], [dns('example.org')], /not permitted/],
    ['an excluded name', [dns('example.org')], [dns('x.example.org')], [dns('a.x.example.org')], /is excluded/],
    ['an excluded name with a period behind', [], [dns('example.org')], [dns('example.org.')], /is excluded/],
    ['a wildcard over an excluded name', [], [dns('x.example.org')], [dns('*.example.org')], /is excluded/],
    ['the second of two names', [dns('example.org')], [], [dns('example.org'), dns('a')], /DNS name a is not/],
    [
      'a URI below without leading period',
      [uri('example.org')],
      [],
      [uri('spiffe://a.example.org/x')],
      /not permitted/,
    ],
    [
      'the parent of a leading period, as URI',
      [uri('.example.org')],
      [],
      [uri('spiffe://example.org')],
      /not permitted/,
    ],
    ['a host in the user part', [uri('example.org')], [], [uri('https://example.org@evil.org/')], /not permitted/],
    ['a URI without host', [uri('example.org')], [], [uri('urn:example.org')], /has no host name/],
    ['a URI with an address', [], [uri('example.org')], [uri('https://10.0.0.1/')], /has no host name/],
    ['an address outside', [ip(10, 0, 0, 0, 255, 0, 0, 0)], [], [ip(11, 9, 8, 7)], /not permitted/],
    ['an IPv6 address under IPv4', [ip(10, 0, 0, 0, 255, 0, 0, 0)], [], [ip(...Array(16).fill(10))], /not permitted/],
    ['an address constraint of 5 octets', [ip(10, 0, 0, 0, 8)], [], [ip(10, 0, 0, 1)], /5 octets/],
    ['another directory name', [directory('other')], [], [], /directory name is not permitted/],
    ['an excluded directory name in other letters', [], [directory('LEAF')], [], /directory name is excluded/],
    ['an e-mail name under a constraint', [email('example.org')], [], [email('a@example.org')], /not supported/],
  ] as const)('refuses %s', async (_rule, permitted, excluded, names, message) => {
    await expect(check(constraints(permitted, excluded), names)).rejects.toThrow(
      expect.objectContaining({ code: 'CERTIFICATE_UNTRUSTED', message: expect.stringMatching(message) }),
    );
  });

  const minimum = sequence(dns('example.org'), tlv(0x80, Uint8Array.of(1)));
  test.each([
    ['an empty extension', sequence(), /is empty/],
    ['a minimum', sequence(tlv(0xa0, minimum)), /minimum and maximum/],
    ['a form that no name has', sequence(tlv(0xa0, sequence(tlv(0x89)))), /no GeneralName/],
    ['something else', sequence(tlv(0xa2)), /follow the end/],
  ])('refuses %s', async (_rule, value, message) => {
    await expect(check(critical(oid(OID.nameConstraints), value), [])).rejects.toThrow(
      expect.objectContaining({ code: 'CERTIFICATE_UNTRUSTED', message: expect.stringMatching(message) }),
    );
  });
});

describe('where constraints stand', () => {
  const excluding = constraints([], [dns('example.org')]);
  const names = [optional(oid(OID.subjectAltName), sequence(dns('a.example.org')))];
  const rejects = (message: RegExp) =>
    expect.objectContaining({ code: 'CERTIFICATE_UNTRUSTED', message: expect.stringMatching(message) });

  test('those of an intermediate below a root count', async () => {
    const root = await makeCertificate({ subject: 'root' });
    const middle = await makeCertificate({ subject: 'middle', issuer: root, extensions: [excluding] });
    const leaf = await makeCertificate({ subject: 'leaf', issuer: middle, isCa: false, extensions: names });
    const [certificate, intermediate, anchor] = [leaf.certificate, middle.certificate, root.certificate];
    const chain = { leaf: certificate, intermediates: [intermediate], roots: [anchor], now: NOW };
    expect(() => verifyChain(chain)).toThrow(
      rejects(/"O=middle" constrains names: DNS name a\.example\.org is excluded/),
    );
  });

  test('a second path without them is taken', async () => {
    const root = await makeCertificate({ subject: 'root' });
    const strict = await makeCertificate({ subject: 'middle', issuer: root, extensions: [excluding] });
    const free = await makeCertificate({ subject: 'middle', issuer: root, signer: strict.signer });
    const { certificate } = await makeCertificate({ subject: 'leaf', issuer: strict, isCa: false, extensions: names });
    const intermediates = [strict.certificate, free.certificate];
    const path = verifyChain({ leaf: certificate, intermediates, roots: [root.certificate], now: NOW });
    expect(path[1]).toBe(free.certificate);
  });

  test('those of a stranger are not even compared: that takes seconds where there are many', async () => {
    const stranger = await makeCertificate({ subject: 'stranger', extensions: [excluding] });
    const root = await makeCertificate({ subject: 'root' });
    const leaf = await makeCertificate({ subject: 'leaf', issuer: stranger, isCa: false, extensions: names });
    const intermediates = [stranger.certificate];
    const chain = { leaf: leaf.certificate, intermediates, roots: [root.certificate], now: NOW };
    expect(() => verifyChain(chain)).toThrow(rejects(/no issuer of/));
  });
});
