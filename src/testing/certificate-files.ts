import { writeFile } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';
import { encodePem } from '../x509/pem.ts';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** What an authority was asked to write: a folder made with the first file, removed on disposal. */
export class CertificateFiles implements AsyncDisposable {
  #folder: Promise<TemporaryFolder> | undefined;

  /**
   * @param name of the file, without a folder
   * @returns its path
   */
  async write(name: string, pem: string): Promise<string> {
    if (!/^[\w.-]+$/.test(name)) {
      throw new SpiffeError('ARGUMENT_INVALID', `${JSON.stringify(name)} is no name of a file: letters, digits, "._-"`);
    }
    this.#folder ??= createTemporaryFolder();
    const path = (await this.#folder).join(name);
    await writeFile(path, pem, { mode: 0o600 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const folder = await this.#folder;
    this.#folder = undefined;
    await folder?.[Symbol.asyncDispose]();
  }
}

export function encodeCertificatesPem(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}
