import type { LogLine } from './program.ts';

/** What the programs' logs say that is worth showing: by message, the words for it. */
const PROOFS: Readonly<Record<string, (line: LogLine) => readonly [string, string?]>> = {
  'plugin loaded': ({ plugin_type, plugin_name, pid, ready_ms }) => [
    `plugin ${plugin_type} "${plugin_name}" is process ${pid}`,
    `ready after ${ready_ms} ms`,
  ],
  'X.509 authority activated': ({ authority_id }) => [
    'the trust domain has an X.509 authority',
    `subject key ${authority_id}`,
  ],
  'JWT authority activated': ({ authority_id }) => ['and a JWT authority', `key ${authority_id}`],
  'endorsement key is trusted': ({ issuer, kind, ek }) => [
    `the endorsement key is that of a ${kind} TPM`,
    issuer === undefined ? `enrolled by its hash ${ek}` : `certificate issued by ${issuer}`,
  ],
  'attestation key is in the same TPM': ({ ak }) => [
    'the TPM released the secret: the attestation key lives beside the endorsement key',
    `name ${ak}`,
  ],
  'quote verified': ({ pcrs, bank }) => [`the quote over PCRs ${pcrs} (${bank}) is fresh and bound to the agent's key`],
  'agent attested': ({ agent_id }) => [`the server admits ${agent_id}`],
  'workload attested': ({ pid, selectors }) => [`the agent attested process ${pid}`, String(selectors)],
};

/** The words for a line of a log, if it is worth any. */
export function proofOf(line: LogLine): readonly [string, string?] | undefined {
  return typeof line.msg === 'string' && Object.hasOwn(PROOFS, line.msg) ? PROOFS[line.msg]?.(line) : undefined;
}
