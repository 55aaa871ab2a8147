import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { DevidKeyType } from '../tpm/devid-templates.ts';
import { spkiOfPublicArea } from '../tpm/public-key.ts';
import { sized } from '../tpm/tpm-writer.ts';
import { TpmDevice } from '../tpm-device/device.ts';
import { createDevidKey, type DevidPasswords, loadDevidKey, signWithDevidKey } from '../tpm-device/devid-key.ts';
import type { NativeWrappedKey } from '../tpm-device/native-tpm.ts';
import { createCsr } from '../x509/csr.ts';
import { encodeName } from '../x509/name.ts';
import { encodePem } from '../x509/pem.ts';
import { keyTypeOfSpki } from '../x509/spki.ts';
import { type DevidAuthority, issueDevid } from './devid-authority.ts';

export interface DevidEnrolment {
  readonly tcti: string;
  /** Where the files go; it exists. */
  readonly folder: string;
  readonly keyType: DevidKeyType;
  /** Another certificate for the key that is in the folder already. */
  readonly sameKey: boolean;
  readonly commonName: string;
  readonly passwords: DevidPasswords;
  /** Signs right away; without it the request is for somebody else. */
  readonly authority?: { readonly ca: DevidAuthority; readonly ttlSeconds: number };
}

/** What came of it: paths, and the request in PEM. */
export interface EnrolledDevid {
  readonly privatePath: string;
  readonly publicPath: string;
  readonly requestPath: string;
  readonly certificatePath: string;
  readonly isCertified: boolean;
  readonly request: string;
}

const MAX_BLOB_BYTES = 4096;
const PUBLIC_MODE = 0o644;
/** Blobs are written as SPIRE's tools write them: without the length that a TPM2B begins with. */
const LENGTH_BYTES = 2;

/**
 * Makes a DevID key in a TPM, or takes the one in the folder, and a certificate request for it; has it certified where an authority
 * is given.
 *
 * @throws SpiffeError `ALREADY_EXISTS` where the folder has a key that would be lost, `FILE_UNUSABLE`, `TPM_UNAVAILABLE`, …
 */
export async function enrolDevid(enrolment: DevidEnrolment): Promise<EnrolledDevid> {
  const { folder, passwords, sameKey } = enrolment;
  const paths = {
    privatePath: join(folder, 'devid.priv.blob'),
    publicPath: join(folder, 'devid.pub.blob'),
    requestPath: join(folder, 'devid.csr.pem'),
    certificatePath: join(folder, 'devid.crt.pem'),
  };
  if (!sameKey) await requireNone([paths.privatePath, paths.publicPath]);
  await using tpm = await TpmDevice.open(enrolment.tcti);
  const blobs = sameKey ? await readBlobs(paths) : await createDevidKey(tpm, enrolment.keyType, passwords);
  await using key = await loadDevidKey(tpm, blobs, passwords);
  const publicKey = spkiOfPublicArea(key.publicArea);
  const subject = encodeName({ commonName: enrolment.commonName });
  const signer = {
    publicKey,
    keyType: keyTypeOfSpki(publicKey),
    signMessage: (message: Uint8Array) => signWithDevidKey(tpm, key, message),
    signDigest: () => Promise.reject(new SpiffeError('UNIMPLEMENTED', 'a DevID key hashes what it signs')),
  };
  const request = encodePem('CERTIFICATE REQUEST', await createCsr({ signer, subject, uriNames: [] }));
  const { authority } = enrolment;
  const certified =
    authority && (await issueDevid(authority.ca, { subject, subjectPublicKeyInfo: publicKey }, authority.ttlSeconds));
  if (!sameKey) {
    await writeFileAtomically(paths.privatePath, blobs.privateArea.subarray(LENGTH_BYTES));
    await writeFileAtomically(paths.publicPath, blobs.publicArea.subarray(LENGTH_BYTES), PUBLIC_MODE);
  }
  await writeFileAtomically(paths.requestPath, request, PUBLIC_MODE);
  if (certified !== undefined) {
    const chain = certified.map((der) => encodePem('CERTIFICATE', der)).join('');
    await writeFileAtomically(paths.certificatePath, chain, PUBLIC_MODE);
  }
  return { ...paths, isCertified: certified !== undefined, request };
}

async function requireNone(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if ((await stat(path).catch(() => undefined)) === undefined) continue;
    throw new SpiffeError(
      'ALREADY_EXISTS',
      `"${path}" exists: give -sameKey for another certificate of that key, or remove the file, with which the key is lost`,
    );
  }
}

async function readBlobs(paths: { privatePath: string; publicPath: string }): Promise<NativeWrappedKey> {
  const [privateArea, publicArea] = await Promise.all([paths.privatePath, paths.publicPath].map(readBlob));
  if (privateArea === undefined || publicArea === undefined) throw new SpiffeError('INTERNAL', 'two files were read');
  return { privateArea, publicArea };
}

async function readBlob(path: string): Promise<Uint8Array> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (content.length > 0 && content.length <= MAX_BLOB_BYTES) return sized(content);
  throw new SpiffeError('FILE_UNUSABLE', `"${path}" has ${content.length} bytes: it holds no key of a TPM`);
}
