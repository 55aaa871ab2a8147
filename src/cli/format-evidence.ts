import { isKnown } from '../tpm/boot/boot-facts.ts';
import type { PolicyRefusal, Verdict } from '../tpm/policy/judge.ts';
import type { ExaminedEvidence } from './examine-evidence.ts';
import { describeVerdict } from './format-ek.ts';
import { formatField, formatHex, formatIndices, formatTime, onOneLine } from './output.ts';

const WIDTH = 13;

export interface EvidenceShown {
  /** Whether somebody asked for this nonce: else the evidence may be old. */
  readonly isNonceGiven: boolean;
}

/** What holds, one field a line, and the selectors that a server would give for it. */
export function formatEvidence(examined: ExaminedEvidence, { isNonceGiven }: EvidenceShown): string {
  const { evidence, verified, ek, facts, verdict, selectors } = examined;
  const quoted =
    verified && [...verified.quotes].map(([bank, { pcrs }]) => `${bank} of PCR ${formatIndices([...pcrs.keys()])}`);
  const [quote] = verified?.quotes.values() ?? [];
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Recorded', `${formatTime(evidence.recordedAt)}, by its own word`],
    ['EK hash', verified?.ek.pubHash],
    ['EK', ek && describeVerdict(ek)],
    ['AK', verified && `${formatHex(verified.ak.name)}, in the same TPM by the word of whoever recorded this`],
    ['Quote', quoted?.join('; ') ?? 'does not hold'],
    [
      'Nonce',
      `${formatHex(evidence.nonce)}${isNonceGiven ? '' : ', nobody asked for it here: the evidence may be old'}`,
    ],
    ['Resets', quote && `${quote.clockInfo.resetCount}, and ${quote.clockInfo.restartCount} restarts since the last`],
    ['Event log', facts && (evidence.eventLog === undefined ? 'none' : `gives the PCRs of bank ${facts.bank}`)],
    ['IMA log', facts && describeIma(examined)],
    ['Policy', describePolicy(verdict)],
  ];
  const fields = rows.flatMap(([name, value]) => (value === undefined ? [] : [formatField(name, value, WIDTH)]));
  const lines = selectors.map((selector) => `  tpm:${onOneLine(selector)}\n`);
  return [...fields, ...(lines.length === 0 ? [] : ['\nSelectors of the boot:\n']), ...lines].join('');
}

/** The same for programs. */
export function toEvidenceJson(examined: ExaminedEvidence, { isNonceGiven }: EvidenceShown): string {
  const { evidence, verified, ek, facts, verdict, selectors, problems } = examined;
  const json = {
    holds: problems.length === 0,
    recordedAt: evidence.recordedAt.toISOString(),
    nonce: formatHex(evidence.nonce),
    nonceGiven: isNonceGiven,
    ekHash: verified?.ek.pubHash ?? null,
    ekTrusted: ek?.isJudged === true ? ek.verdict !== undefined : null,
    ekKind: ek?.verdict?.kind ?? null,
    quotes: Object.fromEntries(
      [...(verified?.quotes ?? [])].map(([bank, { pcrs }]) => [
        bank,
        Object.fromEntries([...pcrs].map(([index, value]) => [index, formatHex(value)] as const)),
      ]),
    ),
    bank: facts?.bank ?? null,
    policy: verdict?.isMet === true ? verdict.policy : null,
    refusals: verdict === undefined || verdict.isMet ? [] : verdict.refusals.map(toRefusalJson),
    selectors: selectors.map((selector) => `tpm:${selector}`),
    problems,
  };
  return `${JSON.stringify(json)}\n`;
}

export function toRefusalJson({ policy, rule, subject, found, wanted, event, message }: PolicyRefusal): object {
  return { policy, rule, subject, found, wanted, event: event ?? null, message };
}

function describeIma({ evidence, facts }: ExaminedEvidence): string {
  if (evidence.imaLog === undefined) return 'none';
  if (facts === undefined) return '';
  if (!isKnown(facts.ima)) return facts.ima.unknown;
  const { entryCount, violationCount, isPaddedSha1 } = facts.ima;
  const how = isPaddedSha1 ? ', by SHA-1 filled up with zeros' : '';
  return `the TPM has the first ${entryCount} entries, ${violationCount} of them violations${how}`;
}

function describePolicy(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'not judged';
  return verdict.isMet ? `meets ${verdict.policy}` : 'meets none';
}
