import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { isStrongHash, TPM_HASHES, type TpmHash } from '../algorithms.ts';
import { MAX_EVENT_LOG_BYTES } from '../event-log/parse-event-log.ts';
import { MAX_IMA_LOG_BYTES } from '../ima/parse-ima-log.ts';
import { MAX_PCR_INDEX } from '../pcr-selection.ts';
import { JsonFields } from './json-fields.ts';
import { NONCE_BYTES, type RecordedEvidence, type RecordedQuote } from './recorded-evidence.ts';

const FORMAT = 'assayer tpm evidence';
const VERSION = 1;
/** The largest logs that are read, in base64, and all the rest. */
export const MAX_EVIDENCE_BYTES = 96 * 1024 * 1024;
/** An honest file has a few hundred values; this many keep JSON.parse from filling the memory. */
const MAX_VALUES = 4096;
/** `[`, `{` and `,`. */
const [LIST, OBJECT, COMMA] = [0x5b, 0x7b, 0x2c] as const;
const MAX_PUBLIC_BYTES = 1026;
const MAX_CERTIFICATES = 8;
const MAX_CERTIFICATE_BYTES = 8192;
const MAX_QUOTES = 3;
const MAX_QUOTE_BYTES = 1024;
const MAX_COMMAND_LINE = 64 * 1024;

/** JSON, one field a line at the top, so that it can be looked at. */
export function formatEvidence(evidence: RecordedEvidence): string {
  const json = {
    format: FORMAT,
    version: VERSION,
    recordedAt: evidence.recordedAt.toISOString(),
    nonce: hex(evidence.nonce),
    endorsementKey: base64(evidence.ekPublic),
    endorsementCertificates: evidence.ekCertificates.map(base64),
    attestationKey: base64(evidence.akPublic),
    quotes: evidence.quotes.map(({ bank, pcrs, quote, signature }) => ({
      bank,
      pcrs: Object.fromEntries([...pcrs].map(([index, value]) => [index, hex(value)])),
      quote: base64(quote),
      signature: base64(signature),
    })),
    ...(evidence.eventLog && { eventLog: base64(evidence.eventLog) }),
    ...(evidence.imaLog && { imaLog: base64(evidence.imaLog) }),
    ...(evidence.commandLine !== undefined && { commandLine: evidence.commandLine }),
  };
  return `${JSON.stringify(json, undefined, 1)}\n`;
}

/**
 * Reads what {@link formatEvidence} wrote. Only its form is checked: what it says is for {@link verifyEvidence}.
 *
 * @throws SpiffeError `TPM_DATA_INVALID`, naming the field; `TOO_LARGE`
 */
export function parseEvidence(bytes: Uint8Array): RecordedEvidence {
  const fields = JsonFields.of(parseCapped(bytes), 'the evidence file');
  const format = fields.text('format', 64);
  if (format !== FORMAT) throw invalid(`is no evidence of a TPM: its format is ${quoteText(format)}`);
  const version = fields.number('version');
  if (version !== VERSION) {
    throw invalid(`is of version ${version}, this program reads version ${VERSION}: use the one that wrote it`);
  }
  const evidence = {
    recordedAt: fields.time('recordedAt'),
    nonce: fields.hex('nonce', NONCE_BYTES),
    ekPublic: fields.base64('endorsementKey', MAX_PUBLIC_BYTES),
    ekCertificates: fields.base64List('endorsementCertificates', MAX_CERTIFICATES, MAX_CERTIFICATE_BYTES),
    akPublic: fields.base64('attestationKey', MAX_PUBLIC_BYTES),
    quotes: fields.objects('quotes', { min: 1, max: MAX_QUOTES }).map(readQuote),
    eventLog: fields.has('eventLog') ? fields.base64('eventLog', MAX_EVENT_LOG_BYTES) : undefined,
    imaLog: fields.has('imaLog') ? fields.base64('imaLog', MAX_IMA_LOG_BYTES) : undefined,
    commandLine: fields.has('commandLine') ? fields.text('commandLine', MAX_COMMAND_LINE) : undefined,
  };
  fields.end();
  if (new Set(evidence.quotes.map(({ bank }) => bank)).size !== evidence.quotes.length) {
    throw invalid('has two quotes of one bank');
  }
  return evidence;
}

function readQuote(fields: JsonFields): RecordedQuote {
  const bank = fields.text('bank', 16);
  if (!isHash(bank) || !isStrongHash(bank)) {
    throw invalid(`has a quote of bank ${quoteText(bank)}, sha256, sha384 and sha512 are read`);
  }
  const values = fields.object('pcrs');
  const { size } = TPM_HASHES[bank];
  const pcrs = values.names().map((name) => {
    if (!/^(?:0|[1-9]\d?)$/.test(name) || Number(name) > MAX_PCR_INDEX) {
      throw invalid(`has a value of PCR ${quoteText(name)}, there are 0 to ${MAX_PCR_INDEX}`);
    }
    return [Number(name), values.hex(name, { min: size, max: size })] as const;
  });
  const quote = fields.base64('quote', MAX_QUOTE_BYTES);
  const signature = fields.base64('signature', MAX_QUOTE_BYTES);
  fields.end();
  return { bank, pcrs: new Map(pcrs.toSorted(([a], [b]) => a - b)), quote, signature };
}

/** Neither size nor number of values is left to the file. */
function parseCapped(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_EVIDENCE_BYTES) {
    throw new SpiffeError(
      'TOO_LARGE',
      `the evidence file has ${bytes.length} bytes, at most ${MAX_EVIDENCE_BYTES} are read`,
    );
  }
  let values = 0;
  for (const byte of bytes) if (byte === LIST || byte === OBJECT || byte === COMMA) values += 1;
  if (values > MAX_VALUES) throw invalid(`has more than ${MAX_VALUES} values`);
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new SpiffeError('TPM_DATA_INVALID', 'the evidence file is no JSON: it may be cut', { cause });
  }
}

function isHash(name: string): name is TpmHash {
  return Object.hasOwn(TPM_HASHES, name);
}

function invalid(what: string): SpiffeError {
  return new SpiffeError('TPM_DATA_INVALID', `the evidence file ${what}`);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
