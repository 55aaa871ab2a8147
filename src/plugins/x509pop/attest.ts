import { isIP } from 'node:net';
import {
  type AgentAttributes,
  type Certificate,
  canonicalSpki,
  isSpiffeError,
  messageOf,
  OID,
  parseCertificate,
  parseSpiffeId,
  parseSpki,
  publicKeyOfSpki,
  type ServerAttestationContext,
  SpiffeError,
  trustDomainOf,
  verifyChains,
} from '../../plugin-sdk/index.ts';
import { fingerprintOf, hasIpName, hexSerialNumber } from './certificate-facts.ts';
import { decodePayload, decodeResponse, encodeChallenge, NONCE_BYTES } from './messages.ts';
import { proofKindOf, requirePossession } from './possession.ts';
import type { PopServerConfig } from './server-config.ts';
import { commonNameOf, templateValues } from './template-values.ts';
import { uriSanSelectorsOf } from './uri-san-selectors.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface PopAttestorState {
  readonly config: PopServerConfig;
  /** Trust anchors of the mode `external_pki`. */
  readonly cas: readonly Certificate[];
}

export interface PopAttestContext
  extends Pick<ServerAttestationContext, 'trustDomain' | 'now' | 'randomBytes' | 'forwardedClientIp'> {
  /** The authorities of this trust domain, for the mode `spiffe`. */
  readonly ownAuthorities: () => Promise<readonly Certificate[]>;
  readonly warn: (message: string, facts: Readonly<Record<string, string>>) => void;
}

/**
 * The server's half: a chain to a trusted CA, then a signature of the leaf's key over nonces of both sides.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`; `ARGUMENT_INVALID`, `TOO_LARGE`, `CERTIFICATE_INVALID` or `DER_INVALID` for what
 *   cannot be read
 * @see docs/plugins/x509pop.md
 */
export async function* attestPossession(
  payload: Uint8Array,
  { config, cas }: PopAttestorState,
  context: PopAttestContext,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  const [leaf, ...intermediates] = decodePayload(payload, config.max_intermediates + 1).map(parseSent);
  if (leaf === undefined) throw denied('no certificate was sent');
  for (const certificate of [leaf, ...intermediates]) requireKeySize(certificate, config.max_rsa_key_size);
  const roots = config.mode === 'spiffe' ? await context.ownAuthorities() : cas;
  const chains = findChains(leaf, intermediates, roots, await context.now(), config.max_intermediates);
  if (leaf.keyUsage?.digitalSignature !== true) {
    throw denied('the certificate is not meant for signatures: its key usage has to have digitalSignature');
  }
  if (config.verify_client_ip) requireClientAddress(leaf, context.forwardedClientIp);
  const svidPathTrimmed = config.mode === 'spiffe' ? exchangedPath(leaf, config.svid_prefix, context.trustDomain) : '';

  const key = publicKeyOfSpki(canonicalSpki(leaf.subjectPublicKeyInfo));
  const challenge = { kind: proofKindOf(key), nonce: await context.randomBytes(NONCE_BYTES) };
  const answer = yield encodeChallenge(challenge);
  requirePossession(key, challenge.nonce, decodeResponse(answer, challenge.kind));

  const { trustDomain, warn } = context;
  const uriSanSelectors = uriSanSelectorsOf(leaf, trustDomain, (name) =>
    warn('a name of the certificate begins as a selector and is none', { name }),
  );
  const values = templateValues({ trustDomain, leaf, svidPathTrimmed, uriSanSelectors });
  return {
    spiffeId: config.agent_path_template.agentId(trustDomain, values),
    selectorValues: selectorsOf(leaf, chains, uriSanSelectors),
    canReattest: true,
  };
}

function parseSent(der: Uint8Array, index: number): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    const which = index === 0 ? 'the certificate' : `intermediate certificate ${index}`;
    throw new SpiffeError('CERTIFICATE_INVALID', `${which}: ${cause.message}`, { cause });
  }
}

function requireKeySize({ subjectPublicKeyInfo }: Certificate, maxBits: number): void {
  const key = parseSpki(subjectPublicKeyInfo);
  if (key.type !== 'rsa' || key.modulusBits <= maxBits) return;
  throw denied(`a certificate has an RSA key of ${key.modulusBits} bits, "max_rsa_key_size" is ${maxBits}`);
}

function findChains(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  roots: readonly Certificate[],
  now: Date,
  maxIntermediates: number,
): readonly (readonly Certificate[])[] {
  const understoodCriticalExtensions = [OID.certificatePolicies];
  const options = { leaf, intermediates, roots, now, maxDepth: maxIntermediates + 2, understoodCriticalExtensions };
  try {
    return verifyChains(options);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw denied(`the certificate is not trusted: ${messageOf(cause)}`, cause);
  }
}

function requireClientAddress(leaf: Certificate, address = ''): void {
  const family = isIP(address);
  if (family === 0) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `"verify_client_ip" needs the address of the agent, and the server gave ${JSON.stringify(address)}`,
    );
  }
  if (hasIpName(leaf, address, family === 4 ? 'ipv4' : 'ipv6')) return;
  throw denied(`the agent connects from ${address}, which is none of the IP addresses of its certificate`);
}

/** Of the certificate of an X.509-SVID: what is behind the prefix. @see X509-SVID §2, §4.1 */
function exchangedPath(leaf: Certificate, prefix: string, trustDomain: string): string {
  const [name, ...others] = leaf.uriNames.filter((uri) => uri.startsWith('spiffe:'));
  if (name === undefined) throw denied('the certificate is no X.509-SVID: it has no SPIFFE ID');
  if (others.length > 0) throw denied('the certificate is no X.509-SVID: it has several SPIFFE IDs');
  if (leaf.isCa) throw denied('the certificate is no X.509-SVID of a workload: it is one of a CA');
  const id = parseSpiffeId(name);
  if (trustDomainOf(id) !== trustDomain) {
    throw denied(`the X.509-SVID of ${id} is not one of this trust domain, ${trustDomain}`);
  }
  const path = id.slice(`spiffe://${trustDomain}`.length);
  if (path.startsWith(prefix) && path.length > prefix.length) return path.slice(prefix.length);
  throw denied(
    `the X.509-SVID of ${id} is none that is exchanged for an agent’s: its path does not begin with "${prefix}"`,
  );
}

function selectorsOf(
  leaf: Certificate,
  chains: readonly (readonly Certificate[])[],
  uriSanSelectors: ReadonlyMap<string, string>,
): readonly string[] {
  const commonName = commonNameOf(leaf.subject);
  const cas = chains.flatMap((chain) => chain.slice(1).map((ca) => `ca:fingerprint:${fingerprintOf(ca)}`));
  return [
    ...(commonName === '' ? [] : [`subject:cn:${commonName}`]),
    ...new Set(cas),
    `serialnumber:${hexSerialNumber(leaf)}`,
    ...[...uriSanSelectors].map(([key, value]) => `san:${key}:${value}`),
  ];
}

function denied(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', message, { cause });
}
