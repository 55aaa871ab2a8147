import { execFile } from 'node:child_process';
import { access, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { startSwtpm } from '../../src/testing/swtpm.ts';
import { createTemporaryFolder } from '../../src/testing/temporary-folder.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';

const run = promisify(execFile);

/** What `openssl verify` says, also where it refuses. */
async function verify(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('openssl', ['verify', ...args]).catch((error: { stdout: string }) => ({
    stderr: '',
    ...error,
  }));
  return `${stdout}${stderr}`;
}

describe('OpenSSL', () => {
  test('takes SVIDs and leaves of an authority, also through a lower one, and sees what is expired', async () => {
    await using authority = await TestAuthority.create('example.org');
    await using intermediate = await authority.createIntermediate();
    const ca = await authority.writeCertificate();
    const svid = await authority.writeCredential(await authority.issue({ spiffeId: 'spiffe://example.org/web' }));
    expect(await verify('-CAfile', ca, svid.certificatePath)).toContain(': OK');
    const leaf = await intermediate.issueLeaf({ commonName: 'web', dnsNames: ['web.example.org'] });
    const { certificatePath } = await intermediate.writeCredential(leaf);
    const chain = ['-CAfile', ca, '-untrusted', certificatePath, '-verify_hostname', 'web.example.org'];
    expect(await verify(...chain, certificatePath)).toContain(': OK');
    expect(await verify(...chain.with(-1, 'other.example.org'), certificatePath)).toContain('hostname mismatch');
    const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') };
    const old = await authority.writeCredential(await authority.issueLeaf(past), 'old');
    expect(await verify('-CAfile', ca, old.certificatePath)).toContain('certificate has expired');
  });

  test('reads the key that belongs to a certificate', async () => {
    await using authority = await TestAuthority.create();
    const { certificatePath, keyPath } = await authority.writeCredential(await authority.issueLeaf());
    const ofKey = await run('openssl', ['pkey', '-in', keyPath, '-pubout']);
    const ofCertificate = await run('openssl', ['x509', '-in', certificatePath, '-noout', '-pubkey']);
    expect(ofKey.stdout).toBe(ofCertificate.stdout);
    expect((await stat(keyPath)).mode & 0o777).toBe(0o600);
  });

  test('takes the certificate of an endorsement key, and its revocation', async () => {
    await using maker = EkAuthority.root();
    await using folder = await createTemporaryFolder();
    const { ekSpki } = new SoftwareTpm();
    const files = { 'ek.der': maker.issueEkCertificate(ekSpki), 'none.crl': maker.issueCrl([]) };
    for (const [name, bytes] of Object.entries({ ...files, 'revoked.crl': maker.issueCrl([0x1234]) })) {
      await writeFile(folder.join(name), bytes);
    }
    const ca = ['-CAfile', await maker.writeCertificate()];
    const crl = (name: string) => ['-crl_check', '-CRLfile', folder.join(name)];
    expect(await verify(...ca, ...crl('none.crl'), folder.join('ek.der'))).toContain(': OK');
    expect(await verify(...ca, ...crl('revoked.crl'), folder.join('ek.der'))).toContain('certificate revoked');
  });
});

describe('files of an authority', () => {
  test('go with it, however often', async () => {
    const authority = await TestAuthority.create();
    const path = await authority.writeCertificate();
    expect(await readFile(path, 'utf8')).toBe(authority.certificatePem);
    await authority[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
    await expect(access(dirname(path))).rejects.toThrow('ENOENT');
  });

  test.each(['../outside.pem', '', 'a/b'])('are not called %j', async (name) => {
    await using authority = await TestAuthority.create();
    await expect(authority.writeCertificate(name)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });
});

test('tpm2-tools find a key and its certificate in each of two TPMs at once', { timeout: 60_000 }, async () => {
  await using one = await startSwtpm();
  await using two = await startSwtpm({ ek: ['ec-p384'] });
  expect(one.folder).not.toBe(two.folder);
  await one.tools('tpm2_nvread', '0x01c00002', '-o', 'ek.der');
  await two.tools('tpm2_nvread', '0x01c00016', '-o', 'ek.der');
  // OpenSSL does not know the extended key usage of endorsement keys, and does not mind it.
  for (const { caPath, folder } of [one, two]) {
    expect(await verify('-CAfile', caPath, `${folder}/ek.der`)).toContain(': OK');
  }
  expect(await verify('-CAfile', two.caPath, `${one.folder}/ek.der`)).not.toContain(': OK');
  await expect(one.tools('tpm2_nvread', '0x01c00016')).rejects.toThrow();
});
