import { createHash } from 'node:crypto';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { isKeyType, parsePublicKey, readPublicKey, type SshKeyType, type SshPublicKey } from './ssh-key.ts';
import { SshReader } from './ssh-reader.ts';
import type { SshSignature } from './ssh-signature.ts';

/** A parsed certificate of OpenSSH. Nothing in it has been verified. */
export interface SshCertificate extends SshPublicKey {
  readonly blob: Uint8Array;
  readonly serial: bigint;
  readonly isHost: boolean;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Unix seconds; both ends may lie beyond any date. */
  readonly validAfter: bigint;
  /** Unix seconds, no longer valid from then on; 2⁶⁴−1: for ever. */
  readonly validBefore: bigint;
  readonly criticalOptions: readonly string[];
  /** SHA-256 of the signer's key, as `ssh-keygen -l` writes it. */
  readonly authorityFingerprint: string;
  readonly authority: SshPublicKey;
  /** What the signature covers. */
  readonly signed: Uint8Array;
  readonly signature: SshSignature;
}

const SUFFIX = '-cert-v01@openssh.com';
export const MAX_CERTIFICATE_BYTES = 32_768;
const MAX_PRINCIPALS = 256;
const MAX_OPTIONS = 64;
const HOST = 2;
const USER = 1;
const WHAT = 'the SSH certificate';

/**
 * @throws SpiffeError `ARGUMENT_INVALID`, naming the first rule broken
 * @see PROTOCOL.certkeys of OpenSSH
 */
export function parseSshCertificate(bytes: Uint8Array): SshCertificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES) {
    throw invalid(`has ${bytes.length} bytes, at most ${MAX_CERTIFICATE_BYTES} are read`);
  }
  const blob = new Uint8Array(bytes);
  const reader = new SshReader(blob, WHAT);
  const type = keyTypeOf(reader.text('the type'));
  reader.bytes('the nonce');
  const key = readPublicKey(reader, type, WHAT);
  const serial = reader.uint64('the serial number');
  const kind = reader.uint32('the kind');
  if (kind !== HOST && kind !== USER) throw invalid(`is of the kind ${kind}, there are 1 (user) and 2 (host)`);
  const keyId = reader.text('the key identifier');
  const principals = textsIn(reader.bytes('the principals'));
  const validAfter = reader.uint64('the start of its validity');
  const validBefore = reader.uint64('the end of its validity');
  const criticalOptions = optionsIn(reader.bytes('the critical options'), 'the critical options');
  optionsIn(reader.bytes('the extensions'), 'the extensions');
  reader.bytes('the reserved field');
  const authorityBlob = reader.bytes('the key of its signer');
  const authority = parsePublicKey(authorityBlob, 'the signer of the SSH certificate');
  const signed = blob.subarray(0, reader.position);
  const signature = readSignature(reader.bytes('the signature'));
  reader.requireEnd();
  return {
    ...{ blob, type, key, serial, isHost: kind === HOST, keyId, principals, validAfter, validBefore, criticalOptions },
    ...{ authorityFingerprint: fingerprintOf(authorityBlob), authority, signed, signature },
  };
}

/** `SHA256:` and base64 without padding. */
export function fingerprintOf(keyBlob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(keyBlob).digest('base64').replace(/=+$/, '')}`;
}

function keyTypeOf(type: string): SshKeyType {
  const keyType = type.endsWith(SUFFIX) ? type.slice(0, -SUFFIX.length) : '';
  if (isKeyType(keyType)) return keyType;
  if (isKeyType(type)) throw invalid(`is none: it is a bare public key of type ${type}, which no authority has signed`);
  throw invalid(`is of the type ${JSON.stringify(type.slice(0, 64))}, which is not supported`);
}

function readSignature(bytes: Uint8Array): SshSignature {
  const reader = new SshReader(bytes, 'the signature of the SSH certificate');
  const signature = { format: reader.text('the format'), blob: reader.bytes('the signature itself') };
  reader.requireEnd();
  return signature;
}

function textsIn(bytes: Uint8Array): readonly string[] {
  const reader = new SshReader(bytes, 'the list of principals of the SSH certificate');
  const texts: string[] = [];
  while (!reader.isAtEnd) {
    texts.push(reader.text('a principal'));
    if (texts.length > MAX_PRINCIPALS) throw invalid(`has more than ${MAX_PRINCIPALS} principals`);
  }
  return texts;
}

/** Names with values, in their order, each once. @returns the names */
function optionsIn(bytes: Uint8Array, what: string): readonly string[] {
  const reader = new SshReader(bytes, `${what} of the SSH certificate`);
  const names: string[] = [];
  while (!reader.isAtEnd) {
    const name = reader.text('a name');
    reader.bytes('a value');
    const last = names.at(-1);
    if (last !== undefined && last >= name) throw invalid(`has ${what} out of their order, or one of them twice`);
    names.push(name);
    if (names.length > MAX_OPTIONS) throw invalid(`has more than ${MAX_OPTIONS} of ${what}`);
  }
  return names;
}

function invalid(reason: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `${WHAT} ${reason}`);
}
