import { createContext, Script } from 'node:vm';
import { messageOf, SpiffeError } from '../../plugin-sdk/index.ts';

/** A pattern of `allowed_dns_patterns`: a regular expression as Go writes it, found anywhere in the name unless anchored. */
export type DnsPattern = (hostname: string) => boolean;

/** What is Go's alone, or means something else there. */
const ONLY_GOS = /\\[AzQEpPCaxk]|\[\[:/;
/** What Go does not know, since it takes time without end. */
const ONLY_OURS = /\(\?(?:[=!]|<[=!])|\\[1-9]/;
/** A pattern may take more time for some names than anybody has, and the node chooses the name. */
const MAX_MS = 250;

/** @throws SpiffeError `CONFIG_INVALID` */
export function parseDnsPattern(text: string): DnsPattern {
  const [, flags = '', body = ''] = /^(?:\(\?(i)\))?(.*)$/s.exec(text) ?? [];
  const named = body.replaceAll('(?P<', '(?<');
  for (const unsupported of [ONLY_GOS.exec(named), ONLY_OURS.exec(named)]) {
    if (unsupported === null) continue;
    throw invalid(text, `${JSON.stringify(unsupported[0])} is not supported here`);
  }
  try {
    const pattern = new RegExp(named, flags);
    return (hostname) => matchesInTime(pattern, hostname);
  } catch (cause) {
    throw invalid(text, messageOf(cause), cause);
  }
}

const MATCH = new Script('pattern.test(hostname)');

/** @throws SpiffeError `ATTESTATION_DENIED` where it takes too long */
function matchesInTime(pattern: RegExp, hostname: string): boolean {
  try {
    return MATCH.runInContext(createContext({ pattern, hostname }), { timeout: MAX_MS }) === true;
  } catch (cause) {
    const reason = `"allowed_dns_patterns" has /${pattern.source}/, which takes longer than ${MAX_MS} ms for this hostname`;
    throw new SpiffeError('ATTESTATION_DENIED', reason, { cause });
  }
}

function invalid(text: string, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', `the pattern ${JSON.stringify(text)} does not read: ${reason}`, { cause });
}
