import { createHash, randomBytes as drawRandomBytes, timingSafeEqual } from 'node:crypto';
import type { AgentAttributes } from '../../plugin-sdk/index.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { agentId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type AttestationKey, requireAttestationKey } from '../../tpm/attestation-key.ts';
import { verifyCertification } from '../../tpm/certification.ts';
import { type EndorsementKey, requireEndorsementKey } from '../../tpm/endorsement-key.ts';
import { credentialEntropyBytes, makeCredential } from '../../tpm/make-credential.ts';
import { qualifyingData } from '../../tpm/qualifying-data.ts';
import { sized } from '../../tpm/tpm-writer.ts';
import { AnswerDeadline } from '../../tpm-trust/answer-deadline.ts';
import {
  type EkCertificateFacts,
  findEkCertificate,
  findEkChain,
  parseEkCertificates,
  requireEkCertificate,
} from '../../x509/ek-certificate.ts';
import { requireUnrevokedKey } from '../../x509/ek-revocation.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { requireDevidCertificate } from './devid-certificate.ts';
import { type DevidKey, requireDevidKey, requireDevidSignature } from './devid-key.ts';
import { type DevidResponse, decodeDevidPayload, decodeDevidResponse, encodeDevidChallenge } from './messages.ts';
import type { DevidServerConfig } from './server-config.ts';
import type { DevidTrustStore } from './trust-store.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface DevidAttestorState {
  readonly config: Pick<DevidServerConfig, 'challenge_timeout' | 'require_csr_binding'>;
  readonly trust: DevidTrustStore;
}

export interface DevidAttestContext {
  readonly trustDomain: TrustDomain;
  /** SubjectPublicKeyInfo (DER) of the agent's CSR; absent under a host that does not tell it. */
  readonly csrPublicKey?: Uint8Array;
  readonly now: () => Date | Promise<Date>;
  /** node:crypto's where absent. */
  readonly randomBytes?: (size: number) => Uint8Array | Promise<Uint8Array>;
  /** Told what was proved, as it is proved. */
  readonly onProof?: (message: string, facts: Readonly<Record<string, string | undefined>>) => void;
}

const SECRET_BYTES = 32;
const NONCE_BYTES = 32;
/** A TPM2B begins with its length, which SPIRE's messages leave out. */
const LENGTH_BYTES = 2;

/**
 * The server's half of DevID attestation: takes the payload, yields one challenge, receives the response.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` with the number of the check that failed, `TPM_DATA_INVALID`,
 * `CERTIFICATE_INVALID` or `DER_INVALID` for bytes that cannot be read
 * @see docs/plugins/tpm-devid.md
 */
export async function* attestDevid(
  payload: Uint8Array,
  state: DevidAttestorState,
  context: DevidAttestContext,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  try {
    return yield* attestEvidence(payload, state, context);
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    throw new SpiffeError('ATTESTATION_DENIED', 'the evidence could not be judged (check F42)', { cause });
  }
}

async function* attestEvidence(
  payloadBytes: Uint8Array,
  { config, trust }: DevidAttestorState,
  { trustDomain, csrPublicKey, now, randomBytes = drawRandomBytes, onProof = () => {} }: DevidAttestContext,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  const payload = decodeDevidPayload(payloadBytes);
  const start = await now();
  const devid = requireDevidCertificate(payload.devidCertificates, trust, start);
  const devidKey = requireDevidKey(payload.devidPublic, devid.certificate);
  onProof('DevID certificate is trusted', { fingerprint: devid.fingerprint });

  const ek = requireEndorsementKey(sized(payload.ekPublic));
  const facts = requireTrustedEk(ek, payload.ekCertificate, trust, start);
  onProof('endorsement key is trusted', { ek: ek.pubHash, kind: facts.kind });

  const ak = requireAttestationKey(sized(payload.akPublic));
  verifyCertification(payload.certification, { ak, name: devidKey.name });
  onProof('DevID key is in the TPM of the attestation key', { devid: hexOf(devidKey.name), ak: hexOf(ak.name) });

  const devidNonce = await randomBytes(NONCE_BYTES);
  const secret = await randomBytes(SECRET_BYTES);
  const credential = makeCredential(ek, ak.name, secret, await randomBytes(credentialEntropyBytes(ek)));
  const bindingNonce = csrPublicKey === undefined ? undefined : await randomBytes(NONCE_BYTES);
  const deadline = new AnswerDeadline(config.challenge_timeout, now);
  await deadline.begin();
  const answer = yield encodeDevidChallenge({
    devidNonce,
    credentialBlob: credential.credentialBlob.subarray(LENGTH_BYTES),
    encryptedSecret: credential.encryptedSecret.subarray(LENGTH_BYTES),
    ...(bindingNonce === undefined ? {} : { bindingNonce }),
  });
  await deadline.requireInTime();

  const response = decodeDevidResponse(answer);
  requireDevidSignature(devidKey, devidNonce, response.devidSignature);
  requireCheck(
    'B16',
    response.secret.length === secret.length && timingSafeEqual(response.secret, secret),
    'the TPM that holds the endorsement key did not open the credential for this attestation key',
  );
  onProof('attestation key is in the TPM of the endorsement key', { ak: hexOf(ak.name) });
  const isBound = requireBinding(response, { ek, ak, devidKey, bindingNonce, csrPublicKey });
  requireCheck(
    'C20',
    isBound || !config.require_csr_binding,
    'the attestation is not bound to the key of the CSR, which "require_csr_binding" wants: SPIRE’s agents and servers cannot do that',
  );
  return {
    spiffeId: agentId(trustDomain, 'tpm_devid', devid.fingerprint),
    selectorValues: [
      ...devid.selectorValues,
      `certificate:sha256:${createHash('sha256').update(devid.certificate.der).digest('hex')}`,
      `pub_hash:${ek.pubHash}`,
      `ek:${facts.kind}`,
      `manufacturer:${facts.manufacturer}`,
      `model:${facts.model}`,
      ...(isBound ? ['csr:bound'] : []),
    ],
    canReattest: true,
  };
}

function requireTrustedEk(
  ek: EndorsementKey,
  ekCertificate: Uint8Array,
  trust: DevidTrustStore,
  now: Date,
): EkCertificateFacts {
  const certificates = parseEkCertificates([ekCertificate]);
  requireUnrevokedKey(ek.spki, trust.revocation);
  const leaf = findEkCertificate(certificates, ek.spki);
  if (leaf === undefined) throw new SpiffeError('INTERNAL', 'one EK certificate was parsed, and none is left');
  return requireEkCertificate(leaf, findEkChain(leaf, [], trust, now), trust, now);
}

interface Exchange {
  readonly ek: EndorsementKey;
  readonly ak: AttestationKey;
  readonly devidKey: DevidKey;
  readonly bindingNonce: Uint8Array | undefined;
  readonly csrPublicKey: Uint8Array | undefined;
}

/** A second certification, of this exchange: an agent of ours gives one wherever it is asked to, one of SPIRE's never. */
function requireBinding(
  { boundCertification }: DevidResponse,
  { ek, ak, devidKey, bindingNonce, csrPublicKey }: Exchange,
): boolean {
  if (boundCertification === undefined || bindingNonce === undefined || csrPublicKey === undefined) return false;
  const binding = { nonce: bindingNonce, csrPublicKey, ekName: ek.name, akName: ak.name };
  verifyCertification(boundCertification, {
    ak,
    name: devidKey.name,
    binding: { ek, qualifyingData: qualifyingData(binding, 'tpm_devid') },
  });
  return true;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
