import { createHash, randomBytes as drawRandomBytes, timingSafeEqual } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { agentId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { requireAttestationKey } from '../../tpm/attestation-key.ts';
import { credentialEntropyBytes, makeCredential } from '../../tpm/make-credential.ts';
import type { PcrRequest } from '../../tpm/pcr-selection.ts';
import { pcrsRead } from '../../tpm/policy/pcrs-read.ts';
import { qualifyingData } from '../../tpm/qualifying-data.ts';
import { type VerifiedQuote, verifyQuote } from '../../tpm/quote.ts';
import { AnswerDeadline } from '../../tpm-trust/answer-deadline.ts';
import type { EkTrustStore } from '../../tpm-trust/ek-trust-store.ts';
import { type EkVerdict, requireTrustedEk } from '../../tpm-trust/require-trusted-ek.ts';
import { formatName } from '../../x509/name.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { decodePayload, decodeResponse, encodeChallenge } from './codec.ts';
import type { TpmServerConfig } from './config.ts';
import type { EkMemory } from './ek-memory.ts';
import { judgeKey } from './judge-key.ts';
import type { BootLog } from './log-codec.ts';
import { pcrsOf } from './measured-boot.ts';
import type { Policies } from './policies.ts';
import type { Slots } from './slots.ts';
import { logsOf, verifyBoot } from './verify-boot.ts';

/** What the server half knows: a value that a new configuration replaces, but for what is remembered of TPMs. */
export interface TpmAttestorState {
  readonly config: Pick<
    TpmServerConfig,
    | 'pcr_bank'
    | 'pcrs'
    | 'allow_unmeasured'
    | 'challenge_timeout'
    | 'allow_unbound'
    | 'event_log'
    | 'ima_log'
    | 'ima_padded_sha1'
    | 'require_key_bound'
  >;
  readonly trust: EkTrustStore;
  readonly memory: EkMemory;
  readonly policies: Policies;
  /** For those whose logs are received: what they hold of memory is bounded. */
  readonly slots: Slots;
}

export interface TpmAttestContext {
  readonly trustDomain: TrustDomain;
  /** SubjectPublicKeyInfo (DER) of the agent's CSR; absent under a host that does not tell it. */
  readonly csrPublicKey?: Uint8Array;
  readonly signal?: AbortSignal;
  readonly now: () => Date | Promise<Date>;
  /** node:crypto's where absent. */
  readonly randomBytes?: (size: number) => Uint8Array | Promise<Uint8Array>;
  /** Told what was proved, as it is proved. */
  readonly onProof?: (message: string, facts: Readonly<Record<string, string | undefined>>) => void;
}

/** The verdict on a node. */
export interface TpmAgentAttributes {
  readonly spiffeId: SpiffeId;
  readonly selectorValues: readonly string[];
  readonly canReattest: boolean;
}

const SECRET_BYTES = 32;
const NONCE_BYTES = 32;
/** Always quoted: whether a bank is measured at all is told by them. */
const FIRMWARE_PCRS = [0, 1, 2, 3, 4, 5, 6, 7];
const NO_KEY = new Uint8Array(0);

/**
 * The server's half of TPM attestation: takes the payload, yields one challenge, receives the response, and yields requests for
 * the node's logs where the configuration wants them.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` with the number of the check that failed, `TPM_DATA_INVALID`,
 * `CERTIFICATE_INVALID` or `DER_INVALID` for bytes that cannot be read
 * @see docs/plugins/tpm.md
 */
export async function* attestTpm(
  payload: Uint8Array,
  state: TpmAttestorState,
  context: TpmAttestContext,
): AsyncGenerator<Uint8Array, TpmAgentAttributes, Uint8Array> {
  try {
    return yield* attestEvidence(payload, state, context);
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    throw new SpiffeError('ATTESTATION_DENIED', 'the evidence could not be judged (check F42)', { cause });
  }
}

async function* attestEvidence(
  payload: Uint8Array,
  state: TpmAttestorState,
  context: TpmAttestContext,
): AsyncGenerator<Uint8Array, TpmAgentAttributes, Uint8Array> {
  const { config, trust, memory } = state;
  const { trustDomain, csrPublicKey, now, randomBytes = drawRandomBytes, onProof = () => {} } = context;
  const { akPublic, ...ekEvidence } = decodePayload(payload);
  requireCheck(
    'C20',
    csrPublicKey !== undefined || config.allow_unbound,
    'the host does not tell the key of the CSR, so a quote cannot be bound to it: set "allow_unbound" to accept that',
  );
  const decoded = memory.eks.decode(ekEvidence);
  const { ek } = decoded;
  const verdict = requireTrustedEk(ek, decoded.certificates, trust, await now());
  const issuer = verdict.facts?.chain[1];
  onProof('endorsement key is trusted', {
    ek: ek.pubHash,
    kind: verdict.kind,
    issuer: issuer && formatName(issuer.subject),
  });
  const ak = requireAttestationKey(akPublic);

  const secret = await randomBytes(SECRET_BYTES);
  const nonce = await randomBytes(NONCE_BYTES);
  const credential = makeCredential(ek, ak.name, secret, await randomBytes(credentialEntropyBytes(ek)));
  const logs = logsOf(state);
  const pcrs = pcrRequest(state, logs);
  const deadline = new AnswerDeadline(config.challenge_timeout, now);
  await deadline.begin();
  const answer = yield encodeChallenge({ ...credential, nonce, pcrs, logs });
  await deadline.requireInTime();

  const response = decodeResponse(answer);
  requireCheck(
    'B16',
    response.secret.length === secret.length && timingSafeEqual(response.secret, secret),
    'the TPM that holds the endorsement key did not open the credential for this attestation key',
  );
  onProof('attestation key is in the same TPM', { ak: Buffer.from(ak.name).toString('hex') });
  const binding = { nonce, csrPublicKey: csrPublicKey ?? NO_KEY, ekName: ek.name, akName: ak.name };
  const quote = verifyQuote(response, {
    ek,
    ak,
    qualifyingData: qualifyingData(binding),
    pcrs,
    allowUnmeasured: config.allow_unmeasured ?? (config.pcrs === undefined && logs.length === 0),
  });
  memory.eks.keep(ekEvidence, decoded);
  const last = await memory.remember(ek.pubHash, quote.clockInfo, undefined);
  const isKeyBound = judgeKey(response, {
    csrPublicKey,
    isRequired: config.require_key_bound,
    expected: { ek, ak, quote, qualifyingData: qualifyingData(binding, 'tpm_key') },
  });
  onProof('quote verified', { bank: config.pcr_bank, pcrs: pcrs.indices.join(',') });
  const boot =
    logs.length === 0
      ? undefined
      : yield* verifyBoot(quote, {
          logs,
          last,
          ekManufacturer: verdict.facts?.manufacturer,
          remembered: memory.eventLogs.of(ek.pubHash),
          deadline,
          state,
          context,
        });
  if (boot?.ima !== undefined) await memory.remember(ek.pubHash, quote.clockInfo, boot.ima);
  if (boot?.refusal !== undefined) throw boot.refusal;
  return {
    spiffeId: agentId(trustDomain, 'tpm', ek.pubHash),
    selectorValues: [
      `pub_hash:${ek.pubHash}`,
      ...ekSelectors(verdict),
      ...(csrPublicKey === undefined ? [] : ['csr:bound']),
      ...(isKeyBound ? ['key_bound'] : []),
      ...quoteSelectors(quote, config),
      ...(boot?.selectorValues ?? []),
    ],
    canReattest: true,
  };
}

function pcrRequest(
  { config: { pcr_bank, pcrs = [] }, policies }: Pick<TpmAttestorState, 'config' | 'policies'>,
  logs: readonly BootLog[],
): PcrRequest {
  const indices = new Set([...FIRMWARE_PCRS, ...pcrs, ...pcrsOf(logs), ...policies.list.flatMap(pcrsRead)]);
  return { bank: pcr_bank, indices: [...indices].toSorted((a, b) => a - b) };
}

function ekSelectors({ kind, facts }: EkVerdict): readonly string[] {
  if (facts === undefined) {
    return [`ek:${kind}`];
  }
  const fingerprints = facts.chain
    .slice(1)
    .map((ca) => `ca:fingerprint:${createHash('sha256').update(ca.der).digest('hex')}`);
  return [`ek:${kind}`, `manufacturer:${facts.manufacturer}`, `model:${facts.model}`, ...fingerprints];
}

/** An unmeasured bank gives no `pcr` selectors, whatever its values. */
function quoteSelectors(
  { firmwareVersion, clockInfo, isMeasured, pcrs }: VerifiedQuote,
  config: TpmAttestorState['config'],
): readonly string[] {
  const wanted = isMeasured ? (config.pcrs ?? FIRMWARE_PCRS) : [];
  const covered = [...pcrs].filter(([index]) => wanted.includes(index));
  return [
    `firmware:${firmwareVersion.toString(16).padStart(16, '0')}`,
    `reset_count:${clockInfo.resetCount}`,
    ...covered.map(([index, value]) => `pcr:${config.pcr_bank}:${index}:${Buffer.from(value).toString('hex')}`),
  ];
}
