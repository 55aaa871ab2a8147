import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TemporaryFolder } from './temporary-folder.ts';

export interface SignOptions {
  /** The name of the authority's key. */
  readonly by: string;
  readonly principals?: readonly string[];
  /** False: for a user. */
  readonly isHost?: boolean;
  /** As `ssh-keygen -V` takes it; for ever by default. */
  readonly validity?: string;
  readonly keyId?: string;
  readonly serial?: number;
  /** Such as `force-command=x`, of users' certificates. */
  readonly option?: string;
  /** The signature's format, of RSA authorities. */
  readonly format?: 'ssh-rsa' | 'rsa-sha2-256' | 'rsa-sha2-512';
}

/** Keys and certificates of ssh-keygen in one folder: `<name>`, `<name>.pub`, `<name>-cert.pub`. */
export class SshKeys {
  readonly #folder: TemporaryFolder;

  constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  /** @param more such as `-m PEM`. @returns the path of the private key */
  generate(name: string, type = 'ed25519', ...more: readonly string[]): string {
    this.#keygen('-t', type, '-N', '', '-C', `${name} of a test`, ...more, '-f', this.#folder.join(name));
    return this.#folder.join(name);
  }

  /** @returns the path of the certificate */
  sign(name: string, options: SignOptions): string {
    const { by, principals = [`${name}.example.org`], isHost = true, validity, keyId = name, serial = 0 } = options;
    this.#keygen(
      ...['-s', this.#folder.join(by), '-I', keyId, '-z', String(serial)],
      ...(principals.length === 0 ? [] : ['-n', principals.join(',')]),
      ...(isHost ? ['-h'] : []),
      ...(validity === undefined ? [] : ['-V', validity]),
      ...(options.option === undefined ? [] : ['-O', options.option]),
      ...(options.format === undefined ? [] : ['-t', options.format]),
      this.#folder.join(`${name}.pub`),
    );
    return this.#folder.join(`${name}-cert.pub`);
  }

  /** The line of the public key. */
  publicKey(name: string): string {
    return readFileSync(this.#folder.join(`${name}.pub`), 'utf8').trim();
  }

  /** What is in the file of a certificate or of a public key, without base64. */
  blob(name: string): Uint8Array {
    const [, base64 = ''] = readFileSync(this.#folder.join(name), 'utf8').split(' ');
    return new Uint8Array(Buffer.from(base64, 'base64'));
  }

  #keygen(...args: readonly string[]): void {
    execFileSync('ssh-keygen', ['-q', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  }
}
