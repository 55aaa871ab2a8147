import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Lines of an extension section of openssl, such as `basicConstraints = critical, CA:TRUE`. */
export type Extensions = readonly string[];

export const CA_EXTENSIONS: Extensions = [
  'basicConstraints = critical, CA:TRUE',
  'keyUsage = critical, keyCertSign, cRLSign',
  'subjectKeyIdentifier = hash',
  'subjectAltName = URI:spiffe://example.org',
];
export const LEAF_EXTENSIONS: Extensions = [
  'basicConstraints = critical, CA:FALSE',
  'keyUsage = critical, digitalSignature, keyAgreement',
  'extendedKeyUsage = serverAuth, clientAuth',
  'subjectAltName = URI:spiffe://example.org/web, DNS:web',
];

/** Certificates of the openssl command line, with whatever extensions a test wants, in a folder that goes with its scope. */
export class OpenSslCa implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spiffe-'));

  /** Self-signed, DER. Valid for 30 days from now. */
  root(name: string, extensions: Extensions = CA_EXTENSIONS): Uint8Array {
    this.#newKey(name);
    this.#run(
      'req',
      '-new',
      '-x509',
      '-key',
      `${name}.key`,
      '-subj',
      `/O=${name}`,
      '-days',
      '30',
      '-out',
      `${name}.pem`,
      '-config',
      this.#write(name, extensions),
      '-extensions',
      'ext',
    );
    return this.#der(name);
  }

  /** Signed by the certificate `issuer`, DER. */
  issue(name: string, issuer: string, extensions: Extensions = LEAF_EXTENSIONS): Uint8Array {
    this.#newKey(name);
    const config = this.#write(name, extensions);
    this.#run('req', '-new', '-key', `${name}.key`, '-subj', `/O=${name}`, '-config', config, '-out', `${name}.csr`);
    this.#run(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${issuer}.pem`,
      '-CAkey',
      `${issuer}.key`,
      '-days',
      '30',
      '-extfile',
      config,
      '-extensions',
      'ext',
      '-out',
      `${name}.pem`,
    );
    return this.#der(name);
  }

  pem(name: string): string {
    return readFileSync(join(this.#folder, `${name}.pem`), 'utf8');
  }

  #newKey(name: string): void {
    this.#run('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`);
  }

  #write(name: string, extensions: Extensions): string {
    const path = join(this.#folder, `${name}.cnf`);
    writeFileSync(path, ['[req]', 'distinguished_name = dn', '[dn]', '[ext]', ...extensions, ''].join('\n'));
    return path;
  }

  #der(name: string): Uint8Array {
    return new Uint8Array(this.#run('x509', '-in', `${name}.pem`, '-outform', 'DER'));
  }

  #run(...args: readonly string[]): Buffer {
    return execFileSync('openssl', args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
