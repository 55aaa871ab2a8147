import { createHash } from 'node:crypto';
import { BlockList } from 'node:net';
import { type Certificate, GeneralNameTag, SpiffeError } from '../../plugin-sdk/index.ts';

/** SHA-1 of the DER, lower-case hex, as SPIRE names a node. An identifier, no protection. */
export function fingerprintOf({ der }: Certificate): string {
  return createHash('sha1').update(der).digest('hex');
}

/** Lower-case hex with an even number of digits, as SPIRE writes it. @throws SpiffeError `ATTESTATION_DENIED` */
export function hexSerialNumber({ serialNumber }: Certificate): string {
  if ((serialNumber[0] ?? 0) >= 0x80) {
    throw new SpiffeError('ATTESTATION_DENIED', 'the serial number of the certificate is negative');
  }
  return Buffer.from(serialNumber)
    .toString('hex')
    .replace(/^(00)+(?=..)/, '');
}

export function decimalSerialNumber(certificate: Certificate): string {
  return BigInt(`0x${hexSerialNumber(certificate)}`).toString();
}

/** The IP addresses of the SAN, in their usual form. */
export function ipNamesOf({ subjectAltNames }: Certificate): readonly string[] {
  return subjectAltNames.flatMap(({ tag, content }) => (tag === GeneralNameTag.ip ? [formatAddress(content)] : []));
}

/** Whether the SAN has this address; an IPv4 address that IPv6 wraps is that IPv4 address. */
export function hasIpName({ subjectAltNames }: Certificate, address: string, family: 'ipv4' | 'ipv6'): boolean {
  const named = new BlockList();
  for (const { tag, content } of subjectAltNames) {
    if (tag === GeneralNameTag.ip) named.addAddress(formatAddress(content), content.length === 4 ? 'ipv4' : 'ipv6');
  }
  return named.check(address, family);
}

/** @param octets 4 or 16 of them */
function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) {
    throw new SpiffeError('CERTIFICATE_INVALID', `an IP address of the certificate has ${octets.length} octets`);
  }
  const hex = Buffer.from(octets).toString('hex');
  const groups = hex.match(/.{4}/g) ?? [];
  return groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':');
}
