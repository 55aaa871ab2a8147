import { readFileSync, writeFileSync } from 'node:fs';
import type { TemporaryFolder } from '../../src/testing/temporary-folder.ts';

/**
 * Certificate authorities of openssl in a folder: `root`, `int` below it and `stranger`, each a `.pem` and a `.key`, and
 * `chain.pem` with the first two.
 *
 * @param openssl runs it in that folder
 */
export function makeDevidAuthorities(openssl: (...args: readonly string[]) => string, folder: TemporaryFolder): void {
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const [name, subject] of [
    ['root', '/O=Acme/CN=Acme Root'],
    ['stranger', '/CN=Stranger'],
  ] as const) {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      subject,
      '-days',
      '30',
    );
  }
  openssl('req', ...newKey, '-keyout', 'int.key', '-out', 'int.csr', '-subj', '/O=Acme/CN=Acme DevID CA');
  writeFileSync(folder.join('int.ext'), 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n');
  const issuer = ['-CA', 'root.pem', '-CAkey', 'root.key', '-days', '20', '-extfile', 'int.ext'];
  openssl('x509', '-req', '-in', 'int.csr', ...issuer, '-out', 'int.pem');
  const chain = ['int.pem', 'root.pem'].map((name) => readFileSync(folder.join(name), 'utf8'));
  writeFileSync(folder.join('chain.pem'), chain.join(''));
}
