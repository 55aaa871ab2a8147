import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { decodePem } from '../../src/x509/pem.ts';
import type { TemporaryFolder } from './temporary-folder.ts';

export interface IssueOptions {
  /** Names the files `<name>.pem` and `<name>.key`. */
  readonly name: string;
  readonly subject?: string;
  /** Lines of openssl's section of extensions. */
  readonly extensions?: readonly string[];
  /** P-256 by default. */
  readonly key?: KeyObject;
  /** The name of what signs it; itself by default. */
  readonly issuer?: string;
  readonly serial?: string;
}

/** A certificate of openssl. */
export interface IssuedCertificate {
  readonly certificate: Uint8Array;
  readonly key: KeyObject;
  readonly certificatePath: string;
  readonly keyPath: string;
}

export const CA_EXTENSIONS = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
export const LEAF_EXTENSIONS = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature'];

/** Certificates that openssl makes in one folder, each good for a month from now on. */
export class OpensslCertificates {
  readonly #folder: TemporaryFolder;

  constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  issue(options: IssueOptions): IssuedCertificate {
    const { name, subject = `/CN=${name}`, extensions = LEAF_EXTENSIONS, issuer, serial } = options;
    const key = options.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const [certificatePath, keyPath, publicPath, extensionPath] = ['pem', 'key', 'pub', 'ext'].map((kind) =>
      this.#folder.join(`${name}.${kind}`),
    ) as [string, string, string, string];
    writeFileSync(keyPath, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(publicPath, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
    writeFileSync(extensionPath, `${extensions.join('\n')}\n`);
    const signedBy =
      issuer === undefined
        ? ['-key', keyPath]
        : ['-CA', this.#folder.join(`${issuer}.pem`), '-CAkey', this.#folder.join(`${issuer}.key`)];
    const subjectKey = issuer === undefined ? [] : ['-force_pubkey', publicPath];
    const number = serial === undefined ? [] : ['-set_serial', serial];
    const all = [
      '-new',
      ...signedBy,
      ...subjectKey,
      ...number,
      '-subj',
      subject,
      '-days',
      '30',
      '-extfile',
      extensionPath,
    ];
    execFileSync('openssl', ['x509', ...all, '-out', certificatePath], { stdio: 'pipe' });
    const [certificate] = decodePem(readFileSync(certificatePath, 'latin1'), 'CERTIFICATE');
    if (certificate === undefined) throw new Error('openssl wrote no certificate');
    return { certificate, key, certificatePath, keyPath };
  }
}
