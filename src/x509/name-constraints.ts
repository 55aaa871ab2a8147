import { constructedContext, type DerReader, derInvalid, parseDer } from './der.ts';
import { type GeneralName, GeneralNameTag, readGeneralName } from './extensions.ts';
import { attributeText, type NameAttribute, parseName } from './name.ts';
import { OID } from './oids.ts';

interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** The names of one certificate that constraints above it bear on. */
export interface ConstrainedNames {
  /** Name element. */
  readonly subject: Uint8Array;
  readonly subjectAltNames: readonly GeneralName[];
}

const MAX_SUBTREES = 1000;
const EMPTY_SEQUENCE_LENGTH = 2;

/** @throws SpiffeError `DER_INVALID`, for a minimum or maximum too: RFC 5280 §4.2.1.10 has no use for them. */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  return parseDer(value, 0x30, 'nameConstraints', (reader) => {
    if (reader.isAtEnd) derInvalid('nameConstraints is empty');
    const permitted = readSubtrees(reader.enterOptional(constructedContext(0), 'permittedSubtrees'));
    const excluded = readSubtrees(reader.enterOptional(constructedContext(1), 'excludedSubtrees'));
    return { permitted, excluded };
  });
}

function readSubtrees(reader: DerReader | undefined): GeneralName[] {
  const bases: GeneralName[] = [];
  while (reader !== undefined && !reader.isAtEnd) {
    const subtree = reader.enter(0x30, 'a GeneralSubtree');
    bases.push(readGeneralName(subtree));
    subtree.requireEnd('a GeneralSubtree (minimum and maximum are not supported)');
    if (bases.length > MAX_SUBTREES) derInvalid(`nameConstraints has more than ${MAX_SUBTREES} subtrees`);
  }
  return bases;
}

/**
 * Says why these names violate the constraints, `undefined` if they do not. DNS, URI, IP address and directory names are
 * enforced; a constraint on another form is a violation as soon as such a name occurs.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see RFC 5280 §4.2.1.10
 */
export function findViolation(constraints: NameConstraints, names: ConstrainedNames): string | undefined {
  for (const name of allNames(names)) {
    const permitted = constraints.permitted.filter(({ tag }) => tag === name.tag);
    const excluded = constraints.excluded.filter(({ tag }) => tag === name.tag);
    if (permitted.length === 0 && excluded.length === 0) continue;
    const matcher = MATCHERS[name.tag];
    if (matcher === undefined) return `a constraint on names with tag ${name.tag & 0x1f}, which is not supported`;
    const { describe, matches } = matcher(name.content);
    if (excluded.some(({ content }) => matches(content, 'excluded'))) return `${describe} is excluded`;
    if (permitted.length > 0 && !permitted.some(({ content }) => matches(content, 'permitted'))) {
      return `${describe} is not permitted`;
    }
  }
  return undefined;
}

function allNames({ subject, subjectAltNames }: ConstrainedNames): readonly GeneralName[] {
  const emails = parseName(subject)
    .flat()
    .filter(({ type }) => type === OID.emailAddress);
  return [
    ...subjectAltNames,
    ...(subject.length > EMPTY_SEQUENCE_LENGTH ? [{ tag: GeneralNameTag.directory, content: subject }] : []),
    ...emails.map(({ value }) => ({ tag: GeneralNameTag.email, content: value })),
  ];
}

interface Matcher {
  readonly describe: string;
  matches(base: Uint8Array, list: 'permitted' | 'excluded'): boolean;
}

const MATCHERS: Readonly<Record<number, (content: Uint8Array) => Matcher>> = {
  [GeneralNameTag.dns]: (content) => {
    const name = hostOf(content);
    return { describe: `DNS name ${name}`, matches: (base, list) => isDnsWithin(name, hostOf(base), list) };
  },
  [GeneralNameTag.uri]: (content) => {
    const uri = Buffer.from(content).toString('latin1');
    const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)(?::[0-9]*)?(?:[/?#]|$)/i.exec(uri)?.[1];
    if (host === undefined || /^[0-9.]+$/.test(host))
      derInvalid(`URI ${uri} has no host name, but is under a constraint`);
    const name = host.toLowerCase().replace(/\.$/, '');
    return { describe: `URI ${uri}`, matches: (base) => isHostWithin(name, hostOf(base)) };
  },
  [GeneralNameTag.ip]: (content) => ({
    describe: `IP address ${[...content].join('.')}`,
    matches: (base) => isAddressWithin(content, base),
  }),
  [GeneralNameTag.directory]: (content) => {
    const rdns = normalizedRdns(content);
    return {
      describe: 'the directory name',
      matches: (base) => normalizedRdns(base).every((rdn, index) => rdns[index] === rdn),
    };
  },
};

const hostOf = (content: Uint8Array): string =>
  Buffer.from(content).toString('latin1').toLowerCase().replace(/\.$/, '');

/** Zero or more labels to the left. An excluded base below a wildcard's parent counts: the wildcard covers it. */
function isDnsWithin(name: string, base: string, list: 'permitted' | 'excluded'): boolean {
  if (base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`)) return true;
  return list === 'excluded' && name.startsWith('*.') && base.endsWith(name.slice(1));
}

/** With a leading period: one or more labels to the left; without: this host only. */
const isHostWithin = (host: string, base: string): boolean =>
  base === '' || (base.startsWith('.') ? host.endsWith(base) && host !== base : host === base);

/** The base is an address and a mask of equal length, RFC 4632 style. */
function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean {
  if (base.length !== 8 && base.length !== 32)
    derInvalid(`an IP address constraint has ${base.length} octets, not 8 or 32`);
  const half = base.length / 2;
  return (
    address.length === half &&
    address.every(
      (octet, index) => (octet & (base[half + index] ?? 0)) === ((base[index] ?? 0) & (base[half + index] ?? 0)),
    )
  );
}

/** Case and runs of spaces do not count: RFC 5280 §7.1. */
function normalizedRdns(name: Uint8Array): string[] {
  return parseName(name).map((rdn) => rdn.map(normalizedAttribute).sort().join('+'));
}

function normalizedAttribute(attribute: NameAttribute): string {
  const text = attributeText(attribute)?.trim().replaceAll(/\s+/g, ' ').toLowerCase();
  return `${attribute.type}=${JSON.stringify(text) ?? Buffer.from(attribute.value).toString('hex')}`;
}
