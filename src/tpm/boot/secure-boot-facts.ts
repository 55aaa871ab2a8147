import { createHash } from 'node:crypto';
import { isSpiffeError } from '../../spiffe/error.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { formatName } from '../../x509/name.ts';
import { readSecureBoot, type SecureBootAuthority } from '../event-log/secure-boot.ts';
import { SIGNATURE_OWNER_BYTES } from '../event-log/signature-list.ts';
import type { BootAuthority, SecureBootFacts } from './boot-facts.ts';
import { type MeasuredEvents, referenceTo } from './measured-events.ts';

export const SECURE_BOOT_PCR = 7;
/** Variables of shim that say how it verifies, and are nothing that it verified by. */
const SHIM_STATE = { isOff: 'MokSBState', ignoresDb: 'MokDBState', sbat: 'SbatLevel' } as const;
const SHIM_STATES: ReadonlySet<string> = new Set(Object.values(SHIM_STATE));
const SHA256_BYTES = 32;

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, D26, D31, D32) */
export function readSecureBootFacts(events: MeasuredEvents): SecureBootFacts {
  const found = readSecureBoot(events.of(SECURE_BOOT_PCR));
  const states = found.authorities.filter(isShimState);
  const off = states.find(({ name, data }) => name === SHIM_STATE.isOff && data.some((byte) => byte !== 0));
  const sbat = states.find(({ name }) => name === SHIM_STATE.sbat);
  return {
    isEnabled: found.isEnabled,
    event: referenceTo(found.events.state),
    shimOff: off && referenceTo(off.event),
    sbatLevel: sbat && { text: latin1(sbat.data), event: referenceTo(sbat.event) },
    authorities: found.authorities.filter((authority) => !isShimState(authority)).map(toBootAuthority),
    dbx: {
      hashes: new Set(found.dbx.flatMap(({ type, data }) => (type === 'sha256' ? [hex(data)] : []))),
      entryCount: found.dbx.length,
      version: sha256(found.dbxData),
      event: referenceTo(found.events.dbx),
    },
    actions: found.events.actions.map((event) => ({
      text: latin1(event.data),
      event: referenceTo(event),
    })),
  };
}

const isShimState = ({ from, name }: SecureBootAuthority) => from === 'shim' && SHIM_STATES.has(name);

/** Shim writes who put a certificate there before it, as a signature database has it. */
function toBootAuthority({ from, name, data, owner, event }: SecureBootAuthority): BootAuthority {
  const contents = from === 'shim' && owner !== undefined ? data.subarray(SIGNATURE_OWNER_BYTES) : data;
  const isHash = from === 'db' && contents.length === SHA256_BYTES;
  return {
    from,
    name,
    subject: findSubject(contents),
    sha256: isHash ? hex(contents) : sha256(contents),
    owner,
    event: referenceTo(event),
  };
}

function findSubject(der: Uint8Array): string | undefined {
  try {
    return formatName(parseCertificate(der).subject);
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
