import { z } from 'zod';
import { describeIssue } from '../../config/describe-issue.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { MAX_MESSAGES } from '../attestation/run-attestation.ts';
import { TRANSCRIPT_LIMITS, type Transcript } from './transcript.ts';

const FORMAT = 'assayer attestation transcript';
const VERSION = 1;

function bytes(maxBytes: number) {
  return z.string().transform((text, context) => {
    const value = Buffer.from(text, 'base64');
    if (value.toString('base64') !== text) context.addIssue('must be base64, with its padding');
    if (value.length > maxBytes) context.addIssue(`must have ${maxBytes} bytes at most, it has ${value.length}`);
    return Uint8Array.from(value);
  });
}

const time = z.iso
  .datetime({ error: 'must be a time in UTC, such as "2030-01-02T03:04:05.678Z"' })
  .transform((text) => new Date(text));
const words = z.string().max(65_536);
const trustDomain = z.string().transform((text, context) => {
  try {
    return parseTrustDomain(text);
  } catch (error) {
    context.addIssue(messageOf(error));
    return z.NEVER;
  }
});
const executables = z
  .array(
    z.strictObject({
      name: z.string(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be 64 hexadecimal digits' }),
    }),
  )
  .max(256);
const status = z.enum(Object.keys(Status).filter((name) => name !== 'Ok')).transform((name) => {
  const found = Object.entries(Status).find(([known]) => known === name);
  return found === undefined ? Status.Unknown : found[1];
});
const verdict = z.discriminatedUnion(
  'outcome',
  [
    z.strictObject({
      outcome: z.literal('admitted'),
      spiffe_id: words,
      selector_values: z.array(words).max(10_000),
      can_reattest: z.boolean(),
    }),
    z.strictObject({ outcome: z.literal('refused'), status, message: words }),
  ],
  { error: 'must be a block whose outcome is "admitted" or "refused"' },
);
const message = z.strictObject({
  at: time,
  kind: z.enum(['payload', 'challenge', 'response']),
  bytes: bytes(TRANSCRIPT_LIMITS.messageBytes),
});

const transcript = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION, { error: `must be ${VERSION}: another version of this program wrote it` }),
  recorded_at: time,
  trust_domain: trustDomain,
  executables: z.strictObject({ agent: executables, server: executables }),
  configuration: z
    .string()
    .max(16 * 1024 * 1024)
    .optional(),
  metadata: z.strictObject({
    csr_public_key: bytes(65_536),
    forwarded_host: z
      .string()
      .max(255)
      .regex(/^[\x21-\x7e]*$/, { error: 'must be printable ASCII' }),
    client_address: z
      .string()
      .max(255)
      .regex(/^[\x21-\x7e]*$/, { error: 'must be printable ASCII' }),
  }),
  messages: z
    .array(message)
    .min(1)
    .max(MAX_MESSAGES)
    .refine((list) => list.every(({ kind }, index) => kind === kindAt(index)) && list.length % 2 === 1, {
      error: 'must be a payload, then pairs of a challenge and its response',
    }),
  draws: z.strictObject({
    random: z.array(bytes(TRANSCRIPT_LIMITS.drawBytes)).max(TRANSCRIPT_LIMITS.draws),
    times: z.array(time).max(TRANSCRIPT_LIMITS.times),
  }),
  verdict,
});

/**
 * Reads the text of a transcript, strictly.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` that names everything that is wrong, each by its path
 */
export function decodeTranscript(text: string): Transcript {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('ARGUMENT_INVALID', `the transcript is no JSON: ${reason.replaceAll('\n', ' ')}`, { cause });
  }
  const { data, error } = transcript.safeParse(json, { error: (issue) => describeIssue(issue) });
  if (error !== undefined) throw new SpiffeError('ARGUMENT_INVALID', describe(error.issues));
  const { metadata } = data;
  return {
    recordedAt: data.recorded_at,
    trustDomain: data.trust_domain,
    executables: data.executables,
    configuration: data.configuration,
    metadata: {
      csrPublicKey: metadata.csr_public_key,
      forwardedHost: metadata.forwarded_host,
      clientAddress: metadata.client_address,
    },
    messages: data.messages,
    draws: data.draws,
    verdict:
      data.verdict.outcome === 'refused'
        ? data.verdict
        : {
            outcome: 'admitted',
            spiffeId: data.verdict.spiffe_id,
            selectorValues: data.verdict.selector_values,
            canReattest: data.verdict.can_reattest,
          },
  };
}

/** The inverse of {@link decodeTranscript}: JSON, for people to read and to compare. */
export function encodeTranscript({ metadata, messages, draws, verdict: decided, ...transcript }: Transcript): string {
  const json = {
    format: FORMAT,
    version: VERSION,
    recorded_at: transcript.recordedAt,
    trust_domain: transcript.trustDomain,
    executables: transcript.executables,
    configuration: transcript.configuration,
    metadata: {
      csr_public_key: base64(metadata.csrPublicKey),
      forwarded_host: metadata.forwardedHost,
      client_address: metadata.clientAddress,
    },
    messages: messages.map(({ at, kind, bytes: content }) => ({ at, kind, bytes: base64(content) })),
    draws: { random: draws.random.map(base64), times: draws.times },
    verdict:
      decided.outcome === 'refused'
        ? { ...decided, status: nameOfStatus(decided.status) }
        : {
            outcome: decided.outcome,
            spiffe_id: decided.spiffeId,
            selector_values: decided.selectorValues,
            can_reattest: decided.canReattest,
          },
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

export function nameOfStatus(wanted: Status): string {
  return Object.entries(Status).find(([, value]) => value === wanted)?.[0] ?? 'Unknown';
}

function kindAt(index: number): 'payload' | 'challenge' | 'response' {
  if (index === 0) return 'payload';
  return index % 2 === 1 ? 'challenge' : 'response';
}

function describe(issues: readonly z.core.$ZodIssue[]): string {
  const lines = issues.flatMap((issue) => {
    const path = z.core.toDotPath(issue.path);
    if (issue.code !== 'unrecognized_keys') return [`${path}: ${issue.message}`];
    return issue.keys.map((key) => `${path === '' ? '' : `${path}.`}${key}: is not a known key`);
  });
  return lines
    .map((line) => `transcript: ${line.replace(/^: /, '')}`)
    .slice(0, MAX_PROBLEMS)
    .join('\n');
}

/** More of them say nothing new. */
const MAX_PROBLEMS = 20;

function base64(content: Uint8Array): string {
  return Buffer.from(content).toString('base64');
}
