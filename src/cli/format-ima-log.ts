import type { ExaminedImaEntry, ExaminedImaLog } from './examine-ima-log.ts';
import { formatHex, formatTable, onOneLine } from './output.ts';

/** One measurement a line, then how much of the log each bank vouches for. */
export function formatImaLog({ entries, prefixes }: ExaminedImaLog): string {
  const rows = entries.map(({ entry, fields }) => [
    String(entry.number),
    entry.template,
    entry.isViolation ? 'violation' : '',
    fields?.signature?.length ? 'signed' : '',
    fields === undefined ? '' : `${fields.algorithm}:${formatHex(fields.digest)}`,
    onOneLine(fields?.name ?? ''),
  ]);
  const lines = formatTable([['ENTRY', 'TEMPLATE', '', '', 'DIGEST', 'NAME'], ...rows]);
  const vouched = [...prefixes].map(([bank, { entryCount, violationCount, isPaddedSha1 }]) => {
    const how = isPaddedSha1 ? ', by SHA-1 filled up with zeros' : '';
    return `${bank}: the TPM has the first ${entryCount} of ${entries.length} entries, ${violationCount} of them violations${how}`;
  });
  const all = vouched.length === 0 ? lines : [...lines, '', ...vouched];
  return `${all.join('\n')}\n`;
}

/** The same as JSON. */
export function toImaLogJson({ entries, prefixes, problems }: ExaminedImaLog): string {
  return `${JSON.stringify({ entries: entries.map(toJson), banks: Object.fromEntries(prefixes), problems })}\n`;
}

function toJson({ entry, fields }: ExaminedImaEntry) {
  const known = fields && {
    name: fields.name,
    algorithm: fields.algorithm,
    digest: formatHex(fields.digest),
    digestType: fields.digestType,
    signature: fields.signature && formatHex(fields.signature),
  };
  return { number: entry.number, template: entry.template, violation: entry.isViolation, ...known };
}
