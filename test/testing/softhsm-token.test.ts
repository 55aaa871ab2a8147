import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { SoftHsmToken } from '../../src/testing/softhsm-token.ts';
import { createTemporaryFolder } from '../../src/testing/temporary-folder.ts';

const run = promisify(execFile);

test('a key of the token signs, and OpenSSL agrees', { timeout: 60_000 }, async () => {
  await using token = await SoftHsmToken.create();
  await using folder = await createTemporaryFolder();
  await token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '01', '--label', 'signer');
  await token.tool('--read-object', '--type', 'pubkey', '--id', '01', '--output-file', folder.join('key.der'));
  const [message, digest, signature] = ['message', 'digest', 'signature'].map((name) => folder.join(name));
  await run('openssl', ['rand', '-out', String(message), '64']);
  await run('openssl', ['dgst', '-sha256', '-binary', '-out', String(digest), String(message)]);
  const files = ['--input-file', String(digest), '--output-file', String(signature)];
  await token.tool('--sign', '--mechanism', 'ECDSA', '--signature-format', 'openssl', '--id', '01', ...files);
  const key = ['-verify', folder.join('key.der'), '-keyform', 'DER', '-signature', String(signature)];
  const { stdout } = await run('openssl', ['dgst', '-sha256', ...key, String(message)]);
  expect(stdout).toBe('Verified OK\n');
});

test('two tokens at once know nothing of each other', { timeout: 60_000 }, async () => {
  await using one = await SoftHsmToken.create({ label: 'one', pin: 'first secret' });
  await using two = await SoftHsmToken.create({ label: 'two' });
  await Promise.all([
    one.tool('--write-object', '/etc/hostname', '--type', 'data', '--label', 'of one'),
    two.tool('--write-object', '/etc/hostname', '--type', 'data', '--label', 'of two'),
  ]);
  expect(await one.tool('--list-objects')).toContain('of one');
  expect(await one.tool('--list-objects')).not.toContain('of two');
  expect(one.pin).toBe('first secret');
  expect(two.pin).toMatch(/^\d{8}$/);
});

test('its PIN is wanted, its files are its owner’s alone, and all go with it', { timeout: 60_000 }, async () => {
  const token = await SoftHsmToken.create();
  const env = { ...process.env, ...token.environment, WRONG: `${randomBytes(4).toString('hex')}` };
  const wrong = ['--module', token.modulePath, '--token-label', token.label, '--login', '--pin', 'env:WRONG', '-O'];
  await expect(run('pkcs11-tool', wrong, { env })).rejects.toThrow('CKR_PIN_INCORRECT');
  expect((await stat(token.configPath)).mode & 0o777).toBe(0o600);
  expect(await readFile(token.configPath, 'utf8')).toContain('directories.tokendir');
  await token[Symbol.asyncDispose]();
  await token[Symbol.asyncDispose]();
  await expect(access(token.configPath)).rejects.toThrow('ENOENT');
});

test('says what the tool refuses', async () => {
  await expect(SoftHsmToken.create({ label: 'x'.repeat(40) })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await expect(SoftHsmToken.create({ pin: '1' })).rejects.toThrow(/pkcs11-tool .*--init-pin.* failed: /);
});
