import type { ExaminedImaEntry, ExaminedImaLog } from './examine-ima-log.ts';
import { onOneLine } from './output.ts';

/** One measurement a line, then how much of the log each bank vouches for. */
export function formatImaLog({ entries, prefixes }: ExaminedImaLog): string {
  const rows = entries.map(({ entry, fields }) => [
    String(entry.number),
    entry.template,
    entry.isViolation ? 'violation' : '',
    fields?.signature?.length ? 'signed' : '',
    fields === undefined ? '' : `${fields.algorithm}:${hex(fields.digest)}`,
    onOneLine(fields?.name ?? ''),
  ]);
  const table = [['ENTRY', 'TEMPLATE', '', '', 'DIGEST', 'NAME'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  const vouched = [...prefixes].map(([bank, { entryCount, violationCount, isPaddedSha1 }]) => {
    const how = isPaddedSha1 ? ', by SHA-1 filled up with zeros' : '';
    return `${bank}: the TPM has the first ${entryCount} of ${entries.length} entries, ${violationCount} of them violations${how}`;
  });
  const all = vouched.length === 0 ? lines : [...lines, '', ...vouched];
  return `${all.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** The same as JSON. */
export function toImaLogJson({ entries, prefixes, problems }: ExaminedImaLog): string {
  return `${JSON.stringify({ entries: entries.map(toJson), banks: Object.fromEntries(prefixes), problems })}\n`;
}

function toJson({ entry, fields }: ExaminedImaEntry) {
  const known = fields && {
    name: fields.name,
    algorithm: fields.algorithm,
    digest: hex(fields.digest),
    digestType: fields.digestType,
    signature: fields.signature && hex(fields.signature),
  };
  return { number: entry.number, template: entry.template, violation: entry.isViolation, ...known };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
