import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** PEM. */
export interface CmsIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Keys, certificates and signed data by OpenSSL's own command, in a folder of their own. */
export class OpenSsl implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  #files = 0;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  static async open(): Promise<OpenSsl> {
    return new OpenSsl(await createTemporaryFolder());
  }

  run(...args: readonly string[]): Buffer {
    return execFileSync('openssl', args, { cwd: this.#folder.path, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** @returns the path of a new file */
  write(content: string | Uint8Array): string {
    const path = this.#folder.join(`file-${this.#files++}`);
    writeFileSync(path, content);
    return path;
  }

  /**
   * A certificate with a new key.
   *
   * @param more options of `openssl req -x509`, such as the authority that signs
   */
  identity(subject: string, key: readonly string[] = ['rsa:2048'], more: readonly string[] = []): CmsIdentity {
    const keyPath = this.write('');
    const args = ['-x509', '-nodes', '-newkey', ...key, '-keyout', keyPath, '-subj', subject, '-days', '2'];
    const certificate = this.run('req', ...args, ...more).toString();
    return { certificate, privateKey: readFileSync(keyPath, 'utf8') };
  }

  /** Options of {@link identity} for a certificate that an authority signs. */
  by(authority: CmsIdentity): readonly string[] {
    return ['-CA', this.write(authority.certificate), '-CAkey', this.write(authority.privateKey)];
  }

  /** @param more options of `openssl cms -sign` @returns DER, or BER with `-stream` */
  sign(content: string | Uint8Array, signer: CmsIdentity, ...more: readonly string[]): Uint8Array {
    const files = ['-signer', this.write(signer.certificate), '-inkey', this.write(signer.privateKey)];
    const args = ['-sign', '-binary', '-nodetach', '-outform', 'DER', '-in', this.write(content), ...files];
    return new Uint8Array(this.run('cms', ...args, ...more));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
