import { createHash } from 'node:crypto';
import { isSpiffeError } from '../spiffe/error.ts';
import type { SecureBoot, SecureBootAuthority } from '../tpm/event-log/secure-boot.ts';
import { SIGNATURE_OWNER_BYTES } from '../tpm/event-log/signature-list.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { formatName } from '../x509/name.ts';
import { formatCount, formatHex, onOneLine } from './output.ts';

/** What PCR 7 says, in a line, and one for each that an image was verified by. */
export function formatSecureBoot(found: SecureBoot | { readonly unknown: string }): readonly string[] {
  if ('unknown' in found) return [`Secure Boot: cannot be told, ${onOneLine(found.unknown)}`];
  const { isEnabled, db, dbx, authorities, actions } = found;
  const [trusted, revoked] = [db, dbx].map(({ length }) => formatCount(length, 'entry', 'entries'));
  return [
    `Secure Boot: ${isEnabled ? 'on' : 'off'}, with ${trusted} in db and ${revoked} in dbx`,
    ...authorities.map((authority) => `  verified by ${authority.name} of ${whose(authority)}: ${nameOf(authority)}`),
    ...actions.map((action) => `  the firmware says: ${onOneLine(action)}`),
  ];
}

/** The same for JSON. */
export function toSecureBootJson(found: SecureBoot | { readonly unknown: string }): object {
  if ('unknown' in found) return found;
  const { isEnabled, db, dbx, authorities, actions } = found;
  const toHashes = (entries: SecureBoot['db']) =>
    entries.map(({ type, data }) => ({ type, sha256: type === 'sha256' ? formatHex(data) : sha256(data) }));
  return {
    enabled: isEnabled,
    db: toHashes(db),
    dbx: toHashes(dbx),
    authorities: authorities.map((authority) => {
      return {
        from: authority.from,
        name: authority.name,
        sha256: sha256(authority.data),
        subject: subjectOf(authority),
      };
    }),
    actions,
  };
}

const whose = ({ from }: SecureBootAuthority) => (from === 'db' ? 'the firmware' : 'shim');

function nameOf(authority: SecureBootAuthority): string {
  const { data } = authority;
  const text = Buffer.from(data).toString('latin1').trimEnd();
  const readable = /^[\x20-\x7e\n]+$/.test(text) ? text.replaceAll('\n', ' ') : `SHA-256 ${sha256(data)}`;
  return onOneLine(subjectOf(authority) ?? readable);
}

/** Shim writes who put a certificate there before it, as a signature database has it. */
function subjectOf({ from, data }: SecureBootAuthority): string | undefined {
  const candidates = from === 'shim' ? [data, data.subarray(SIGNATURE_OWNER_BYTES)] : [data];
  for (const candidate of candidates) {
    try {
      return formatName(parseCertificate(candidate).subject);
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
    }
  }
  return undefined;
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
