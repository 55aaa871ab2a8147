import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tpmServerConfig } from '../../src/plugins/tpm/config.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { type EkTrustStore, readEkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const root = EkAuthority.root();
const other = EkAuthority.root({ name: 'another root' });
const HASH = 'ab'.repeat(32);
const OTHER_HASH = 'cd'.repeat(32);

test('has defaults for everything but whom to trust', () => {
  expect(tpmServerConfig.parse({ hash_path: '/h' })).toMatchObject({
    pcr_bank: 'sha256',
    challenge_timeout: 30_000,
    allow_unbound: false,
    tolerate_missing_eku: false,
  });
});

test.each([
  ['nothing to trust', {}, /without one, no TPM would be trusted/],
  ['an empty path', { ca_path: '' }, /without one, no TPM would be trusted/],
  ['an unknown key', { ca_path: '/a', ca_paths: '/b' }, /ca_paths/],
  ['PCR 16', { ca_path: '/a', pcrs: [16] }, /must not be 16 or 23/],
  ['PCR 23', { ca_path: '/a', pcrs: [7, 23] }, /must not be 16 or 23/],
  ['PCR 24', { ca_path: '/a', pcrs: [24] }, /0 to 23/],
  ['a PCR twice', { ca_path: '/a', pcrs: [7, 7] }, /each PCR once/],
  ['the SHA-1 bank', { ca_path: '/a', pcr_bank: 'sha1' }, /must be one of "sha256", "sha384", "sha512"/],
  ['a timeout without unit', { ca_path: '/a', challenge_timeout: '30' }, /a number and a unit/],
  ['a manufacturer by name', { ca_path: '/a', virtual_manufacturers: ['GOOG'] }, /such as "id:474F4F47"/],
])('refuses %s', (_what, config, message) => {
  const { error } = tpmServerConfig.safeParse(config);
  expect(error?.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('\n')).toMatch(message);
});

/** Writes files below a folder and reads them as one setting. */
async function read(
  key: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  path = '',
): Promise<EkTrustStore> {
  await using folder = await createTemporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(folder.join(name)), { recursive: true });
    await writeFile(folder.join(name), content);
  }
  const config = { hash_path: folder.join('enrolled-hashes'), [key]: folder.join(path) };
  await writeFile(folder.join('enrolled-hashes'), '');
  return await readEkTrustStore(tpmServerConfig.parse(config));
}

const PEM = encodePem('CERTIFICATE', root.certificate.der) + encodePem('CERTIFICATE', other.certificate.der);

describe('ca_path', () => {
  test.each([
    ['a PEM file', { 'f/cas.pem': PEM }, 'f/cas.pem', 2],
    ['a DER file', { 'f/root.der': root.certificate.der }, 'f/root.der', 1],
    ['a folder of both', { 'f/1.pem': PEM, 'f/2.der': root.certificate.der, 'f/.hidden': 'x' }, 'f', 3],
  ])('takes %s', async (_what, files, path, count) => {
    expect((await read('ca_path', files, path)).hardwareCas).toHaveLength(count);
    expect((await read('virtual_ca_path', files, path)).virtualCas).toHaveLength(count);
  });

  test.each([
    ['a file that is not there', {}, 'missing', /ca_path: ".*missing" cannot be read: ENOENT/],
    ['an empty folder', { 'f/.hidden': 'x' }, 'f', /ca_path: the folder ".*" holds no file/],
    ['something else', { 'f/cas.pem': 'hello' }, 'f/cas.pem', /holds neither DER nor a PEM block "CERTIFICATE"/],
    [
      'a broken certificate',
      { 'f/c.pem': encodePem('CERTIFICATE', Uint8Array.of(0x30, 0)) },
      'f',
      /c\.pem": the certificate/,
    ],
  ])('refuses %s', async (_what, files, path, message) => {
    await expect(read('ca_path', files, path)).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('hash_path', () => {
  test.each([
    ['a file of lines', { 'f/hashes': `# ours\n${HASH.toUpperCase()}\n\n${OTHER_HASH} hardware\n` }, 'f/hashes'],
    ['a folder of file names', { [`f/${HASH}`]: '', [`f/${OTHER_HASH}`]: 'hardware\n' }, 'f'],
  ])('takes %s, and calls virtual what nobody calls hardware', async (_what, files, path) => {
    const { enrolled } = await read('hash_path', files, path);
    expect([...enrolled].toSorted()).toEqual([
      [HASH, 'virtual'],
      [OTHER_HASH, 'hardware'],
    ]);
  });

  test.each([
    ['a short hash', 'abcd'],
    ['another word', `${HASH} physical`],
    ['a third word', `${HASH} hardware indeed`],
  ])('refuses %s, with its line', async (_what, line) => {
    await expect(read('hash_path', { 'f/hashes': `${OTHER_HASH}\n${line}\n` }, 'f/hashes')).rejects.toThrow(
      /hash_path: ".*hashes" line 2: must be the SHA-256 of an EK/,
    );
  });
});

describe('revoked_path and crl_path', () => {
  test('take hashes, serial numbers with issuers, and CRLs', async () => {
    const lines = `${HASH}\n0014 CN=swtpm-localca\n# why\nAB01 CN=a\\, b,O=c\n`;
    const { revocation } = await read('revoked_path', { 'f/revoked': lines }, 'f/revoked');
    expect([...revocation.publicKeyHashes]).toEqual([HASH]);
    expect([...revocation.certificateLabels]).toEqual(['14 CN=swtpm-localca', 'ab01 CN=a\\, b,O=c']);
    const { crls } = (await read('crl_path', { 'f/1.crl': root.issueCrl([7]) }, 'f')).revocation;
    expect(crls.map((crl) => [...crl.revokedSerials])).toEqual([['07']]);
    const pem = encodePem('X509 CRL', root.issueCrl([]));
    expect((await read('crl_path', { 'f/1.pem': pem }, 'f/1.pem')).revocation.crls).toHaveLength(1);
  });

  test('refuse a line that is neither', async () => {
    await expect(read('revoked_path', { 'f/revoked': 'CN=swtpm' }, 'f/revoked')).rejects.toThrow(
      /line 1: must be an EK's/,
    );
  });
});
