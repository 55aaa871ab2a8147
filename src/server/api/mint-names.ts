import { requireDnsName } from '../../spiffe/dns-name.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { oid, sequence, setOf } from '../../x509/der.ts';
import { EMPTY_NAME, encodeName, isSameName, parseName } from '../../x509/name.ts';
import { OID } from '../../x509/oids.ts';

const MAX_COMMON_NAME = 64; // RFC 5280 appendix A.1, ub-common-name

/** @throws SpiffeError `ARGUMENT_INVALID` for one that is no DNS name, or that a wildcard among them covers. */
export function requireMintableDnsNames(dnsNames: readonly string[]): void {
  dnsNames.forEach(requireDnsName);
  const names = new Set(dnsNames);
  for (const name of names) {
    const wildcard = name.replace(/^[^.]*/, '*');
    if (name !== wildcard && names.has(wildcard)) {
      throw new SpiffeError('ARGUMENT_INVALID', `the DNS name "${wildcard}" covers "${name}": ask for one of them`);
    }
  }
}

/** The subject that a CSR asks for, with the first DNS name as its common name; nothing where it asks for none. */
export function mintSubject(wanted: Uint8Array, [commonName]: readonly string[]): Uint8Array | undefined {
  if (isSameName(wanted, EMPTY_NAME)) return undefined;
  if (commonName === undefined || commonName.length > MAX_COMMON_NAME) return wanted;
  const others = parseName(wanted).filter((rdn) => rdn.every(({ type }) => type !== OID.commonName));
  const [added = []] = parseName(encodeName({ commonName }));
  return sequence(
    ...[...others, added].map((rdn) => setOf(...rdn.map(({ type, value }) => sequence(oid(type), value)))),
  );
}
