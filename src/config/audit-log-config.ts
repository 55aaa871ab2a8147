import { z } from 'zod';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { findMethods, methodNames } from './api-methods.ts';
import { choice, onEveryBlock, spiffeIdText } from './fields.ts';
import { findNearest } from './suggest.ts';

/** What the audit log leaves out: `server { audit_log { skip "name" { … } } }`. */
export interface AuditSkip {
  readonly name: string;
  /** `/package.Service/Method`; absent: all. */
  readonly methods: readonly string[] | undefined;
  /** What callers were let in as, or their SPIFFE IDs; absent: all. */
  readonly callers: readonly (AuditedCaller | SpiffeId)[] | undefined;
  /** Absent: both. */
  readonly status: readonly ('success' | 'error')[] | undefined;
}

export const AUDITED_CALLERS = ['nobody', 'local', 'admin', 'agent', 'downstream', 'role'] as const;
export type AuditedCaller = (typeof AUDITED_CALLERS)[number];

const methods = z.array(
  z.string().transform((text, ctx) => {
    const found = findMethods(text);
    if (found !== undefined) return found;
    const nearest = findNearest(text, methodNames());
    ctx.addIssue(
      `is neither a group of methods nor a method${nearest === undefined ? '' : `: did you mean "${nearest}"?`}`,
    );
    return z.NEVER;
  }),
);

const skip = z
  .strictObject({
    methods: methods.min(1, { error: 'must name one method or group at least' }).optional(),
    callers: z
      .array(z.union([choice(AUDITED_CALLERS), spiffeIdText], { error: callerError }))
      .min(1, { error: 'must name one caller at least' })
      .optional(),
    status: z
      .array(choice(['success', 'error']))
      .min(1, { error: 'must name one status at least' })
      .optional(),
  })
  .superRefine((raw, ctx) => {
    if (Object.values(raw).some((condition) => condition !== undefined)) return;
    ctx.addIssue('would leave out everything: give one condition at least, or set audit_log_enabled = false');
  }, onEveryBlock);

function callerError(): string {
  return `must be one of ${AUDITED_CALLERS.map((caller) => `"${caller}"`).join(', ')}, or a SPIFFE ID`;
}

export const auditLogConfig = z
  .strictObject({ skip: z.record(z.string(), skip).default({}) })
  .transform((raw): readonly AuditSkip[] =>
    Object.entries(raw.skip).map(([name, { methods: lists, callers, status }]) => ({
      name,
      methods: lists?.flat(),
      callers,
      status,
    })),
  )
  .prefault({});
