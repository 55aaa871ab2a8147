import type { KeyObject } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { Certificate } from './certificate.ts';
import { type Extension, GeneralNameTag } from './extensions.ts';
import { formatName, isSameName } from './name.ts';
import { findViolation, parseNameConstraints } from './name-constraints.ts';
import { OID } from './oids.ts';
import { verifySignature } from './signature-algorithm.ts';
import { publicKeyOfSpki } from './spki.ts';

export interface ChainOptions {
  readonly leaf: Certificate;
  /** In any order; what does not help is passed over. */
  readonly intermediates: readonly Certificate[];
  /** Trust anchors, self-signed or not. Their dates and extensions count like those of any issuer. */
  readonly roots: readonly Certificate[];
  readonly now: Date;
  /** Certificates in the chain, leaf and root among them. Default 8. */
  readonly maxDepth?: number;
  /** OIDs that the caller checks itself, on the leaf and on every issuer. */
  readonly understoodCriticalExtensions?: readonly string[];
}

const DEFAULT_MAX_DEPTH = 8;
const MAX_INTERMEDIATES = 64;
const MAX_SIGNATURES = 64;

/** What is checked here, or by the caller through fields of {@link Certificate}. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.authorityKeyIdentifier,
  OID.basicConstraints,
  OID.extKeyUsage,
  OID.keyUsage,
  OID.nameConstraints,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
]);
const UNDERSTOOD_NAMES: ReadonlySet<number> = new Set([
  GeneralNameTag.dns,
  GeneralNameTag.uri,
  GeneralNameTag.ip,
  GeneralNameTag.email,
  GeneralNameTag.directory,
]);

/**
 * Finds and verifies a path from the leaf to a root: signatures, dates, basicConstraints, path lengths, keyCertSign,
 * names, key identifiers, critical extensions and name constraints. Purpose and identity of the leaf are the caller's.
 *
 * Stricter than RFC 5280 where SPIFFE needs it: self-issued certificates count towards a path length and come under
 * name constraints, since in SPIFFE every CA may have the same name.
 *
 * @returns leaf … root; the leaf is never its own root.
 * @throws SpiffeError `CERTIFICATE_UNTRUSTED`, with the reason of every candidate that was refused.
 * @see RFC 5280 §6.1
 */
export function verifyChain(options: ChainOptions): readonly Certificate[] {
  if (options.intermediates.length > MAX_INTERMEDIATES) {
    throw untrusted(`${options.intermediates.length} intermediate certificates are more than ${MAX_INTERMEDIATES}`);
  }
  const { leaf } = options;
  const understood = new Set(options.understoodCriticalExtensions ?? []);
  const problem = findProblem(leaf, options.now, understood);
  if (problem !== undefined) throw untrusted(`${describe(leaf)} ${problem}`);
  const search = new PathSearch(options, understood);
  const path = search.extend([leaf]);
  if (path === undefined) throw untrusted(search.explain());
  return path;
}

const untrusted = (message: string) => new SpiffeError('CERTIFICATE_UNTRUSTED', message);

class PathSearch {
  readonly #options: ChainOptions;
  readonly #understood: ReadonlySet<string>;
  readonly #maxDepth: number;
  readonly #refusals = new Set<string>();
  #signatures = 0;

  constructor(options: ChainOptions, understood: ReadonlySet<string>) {
    this.#options = options;
    this.#understood = understood;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
  }

  /** Depth first, roots before intermediates. */
  extend(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const { roots, intermediates } = this.#options;
    if (path.length >= this.#maxDepth) {
      this.#refusals.add(`a chain of more than ${this.#maxDepth} certificates is too long`);
      return undefined;
    }
    for (const root of roots) {
      if (!this.#isIssuer(root, path)) continue;
      const complete = [...path, root];
      const problem = findConstraintProblem(complete);
      if (problem === undefined) return complete;
      this.#refusals.add(problem);
    }
    for (const intermediate of intermediates) {
      const found = this.#isIssuer(intermediate, path) ? this.extend([...path, intermediate]) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  explain(): string {
    const { leaf } = this.#options;
    const reasons = [...this.#refusals];
    return reasons.length === 0
      ? `no issuer of ${describe(leaf)} is known: it was issued by "${printable(leaf.issuer)}"`
      : `${describe(leaf)} has no chain to a root: ${reasons.slice(0, 4).join('; ')}`;
  }

  #isIssuer(issuer: Certificate, path: readonly Certificate[]): boolean {
    const child = path.at(-1);
    if (child === undefined || !isSameName(issuer.subject, child.issuer)) return false;
    if (path.some((certificate) => isSameEntity(certificate, issuer))) return false;
    const problem = this.#findProblem(issuer, child, path);
    if (problem !== undefined) this.#refusals.add(`${describe(issuer)} ${problem}`);
    return problem === undefined;
  }

  #findProblem(issuer: Certificate, child: Certificate, path: readonly Certificate[]): string | undefined {
    const { authorityKeyId } = child;
    if (authorityKeyId && issuer.subjectKeyId && Buffer.compare(authorityKeyId, issuer.subjectKeyId) !== 0) {
      return `has another key identifier than ${describe(child)} names`; // §4.2.1.1
    }
    return (
      findProblem(issuer, this.#options.now, this.#understood) ??
      findIssuerProblem(issuer, path.length - 1) ??
      this.#findSignatureProblem(issuer, child)
    );
  }

  #findSignatureProblem(issuer: Certificate, child: Certificate): string | undefined {
    if (++this.#signatures > MAX_SIGNATURES) return `was not tried: over ${MAX_SIGNATURES} signatures are too many`;
    return reasonOf(() => (isSignedBy(child, issuer) ? undefined : `did not sign ${describe(child)}`));
  }
}

/** What holds for every certificate of a path: §4.1.2.5, §4.2. */
function findProblem(certificate: Certificate, now: Date, understood: ReadonlySet<string>): string | undefined {
  const { notBefore, notAfter } = certificate;
  if (now < notBefore) return `is not valid before ${notBefore.toISOString()}, it is ${now.toISOString()}`;
  if (now > notAfter && now.getTime() - notAfter.getTime() >= 1000) {
    return `expired at ${notAfter.toISOString()}, it is ${now.toISOString()}`; // notAfter is a whole second, and valid
  }
  for (const { oid, isCritical } of certificate.extensions.values()) {
    if (!isCritical || understood.has(oid)) continue;
    if (!UNDERSTOOD.has(oid)) return `has a critical extension ${oid} that is not understood`;
    if (oid === OID.subjectAltName && !certificate.subjectAltNames.some(({ tag }) => UNDERSTOOD_NAMES.has(tag))) {
      return 'has a critical subjectAltName without a name that is understood';
    }
  }
  return undefined;
}

/** §6.1.4 (k), (l), (m), (n) */
function findIssuerProblem(issuer: Certificate, intermediatesBelow: number): string | undefined {
  if (!issuer.isCa) return 'is no CA by its basicConstraints';
  if (issuer.keyUsage?.keyCertSign === false) return 'may not sign certificates by its keyUsage';
  if (issuer.pathLength !== undefined && intermediatesBelow > issuer.pathLength) {
    return `allows ${issuer.pathLength} CA certificates below it, there are ${intermediatesBelow}`;
  }
  return undefined;
}

/**
 * §6.1.3 (b), (c), on a path that has reached a root: what a stranger calls a CA constrains nothing, and comparing a
 * thousand names with a thousand constraints takes seconds.
 */
function findConstraintProblem(path: readonly Certificate[]): string | undefined {
  for (const [below, issuer] of path.slice(1).entries()) {
    const extension = issuer.extensions.get(OID.nameConstraints);
    const problem = extension && reasonOf(() => findNameProblem(extension, path.slice(0, below + 1)));
    if (problem !== undefined) return `${describe(issuer)} ${problem}`;
  }
  return undefined;
}

function findNameProblem({ value }: Extension, certificates: readonly Certificate[]): string | undefined {
  const constraints = parseNameConstraints(value);
  for (const certificate of certificates) {
    const violation = findViolation(constraints, certificate);
    if (violation !== undefined) return `constrains names: ${violation} in ${describe(certificate)}`;
  }
  return undefined;
}

function reasonOf(find: () => string | undefined): string | undefined {
  try {
    return find();
  } catch (error) {
    if (isSpiffeError(error)) return `cannot be used: ${error.message}`;
    throw error;
  }
}

/** One CA under its name and key, whichever of its certificates: a path never meets it twice. */
const isSameEntity = (one: Certificate, other: Certificate): boolean =>
  isSameName(one.subject, other.subject) && Buffer.compare(one.subjectPublicKeyInfo, other.subjectPublicKeyInfo) === 0;

/** Issuers whose signature on a certificate held: of the same two certificates it holds for ever, whatever else does not. */
const knownIssuers = new WeakMap<Certificate, WeakSet<Certificate>>();

/** @throws SpiffeError `DER_INVALID` */
function isSignedBy(child: Certificate, issuer: Certificate): boolean {
  const known = knownIssuers.get(child);
  if (known?.has(issuer) === true) return true;
  if (!verifySignature(child.signatureAlgorithm, issuerKey(issuer), child.tbs, child.signature)) return false;
  if (known === undefined) knownIssuers.set(child, new WeakSet([issuer]));
  else known.add(issuer);
  return true;
}

const issuerKeys = new WeakMap<Certificate, KeyObject>();

function issuerKey(issuer: Certificate): KeyObject {
  const known = issuerKeys.get(issuer);
  if (known !== undefined) return known;
  const key = publicKeyOfSpki(issuer.subjectPublicKeyInfo);
  issuerKeys.set(issuer, key);
  return key;
}

const describe = (certificate: Certificate): string =>
  `the certificate "${printable(certificate.subject) || (certificate.uriNames[0] ?? '')}"`;
const printable = (name: Uint8Array): string => formatName(name).slice(0, 200);
