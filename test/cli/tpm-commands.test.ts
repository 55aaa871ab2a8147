import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { runCli } from './run-cli.ts';

const MACHINE = 'shim-grub-secure-boot';
const vector = (machine: string, name: string) => join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name);
const LOG = vector(MACHINE, 'binary_bios_measurements');
const IMA = vector(MACHINE, 'ima-binary.bin');
/** Many commands, one after the other. */
const SLOW = { timeout: 120_000 };
const NONCE = '00112233445566778899aabbccddeeff';

let tpm: Swtpm;
let folder: TemporaryFolder;
let evidence: string;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  tpm = await startSwtpm({
    ek: ['rsa-2048', 'ec-p384'],
    eventLog: readFileSync(LOG),
    imaLog: readFileSync(IMA),
    imaPaddedBanks: ['sha384'],
  });
  evidence = folder.join('evidence.json');
  const logs = ['-eventLog', LOG, '-imaLog', IMA];
  const { code, stderr } = await onTpm('quote', '-nonce', NONCE, ...logs, '-write', evidence);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const onTpm = (command: string, ...args: readonly string[]) =>
  runCli(['tpm', command, ...args], { env: { ASSAYER_TPM_DEVICE: tpm.tcti } });
const openssl = (...args: readonly string[]) => promisify(execFile)('openssl', args);
const cli = (...args: readonly string[]) => runCli(['tpm', ...args]);

async function printedJson(command: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await onTpm(command, '-output', 'json', ...args);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

/** A number of tpm2_getcap: `TPM2_PT_X: 0x2A` or a bare 0, its value in the line or in the next. */
async function property(group: string, name: string): Promise<number> {
  const text = await tpm.tools('tpm2_getcap', group);
  const [, value] = new RegExp(`${name}:\\s+(?:raw: )?(0(?:x[0-9A-F]+)?)\\b`).exec(text) ?? [];
  if (value === undefined) throw new RangeError(`tpm2_getcap ${group} has no ${name}`);
  return Number(value);
}

describe('tpm info', () => {
  test('says what tpm2_getcap and tpm2_readclock say', SLOW, async () => {
    const info = await printedJson('info');
    const algorithms = (await tpm.tools('tpm2_getcap', 'algorithms')).matchAll(/^(\w+):$/gm);
    expect(info.algorithms).toEqual([...algorithms].map(([, name]) => name));
    const curves = (await tpm.tools('tpm2_getcap', 'ecc-curves')).matchAll(/^TPM2_ECC_(\w+):/gm);
    expect(info.curves).toEqual([...curves].map(([, name = '']) => name.toLowerCase().replace(/^nist_|_/g, '')));
    const resetCount = Number(/reset_count: (\d+)/.exec(await tpm.tools('tpm2_readclock'))?.[1]);
    expect(info).toMatchObject({
      device: tpm.tcti,
      manufacturer: 'IBM',
      manufacturerId: 'id:49424D00',
      kind: 'virtual',
      specification: { family: '2.0', level: await property('properties-fixed', 'TPM2_PT_LEVEL') },
      clock: { resetCount, safe: true },
      lockout: {
        isLocked: false,
        failures: await property('properties-variable', 'TPM2_PT_LOCKOUT_COUNTER'),
        maxFailures: await property('properties-variable', 'TPM2_PT_MAX_AUTH_FAIL'),
        intervalSeconds: await property('properties-variable', 'TPM2_PT_LOCKOUT_INTERVAL'),
        recoverySeconds: await property('properties-variable', 'TPM2_PT_LOCKOUT_RECOVERY'),
      },
      authorizations: { owner: false, endorsement: false, lockout: false },
    });
    expect(info.banks).toEqual(['sha1', 'sha256', 'sha384'].map((bank) => expect.objectContaining({ bank })));
  });

  test('for people', async () => {
    const { code, stdout } = await onTpm('info');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Kind +: virtual: this maker makes software TPMs$/m);
    expect(stdout).toMatch(/^PCR banks +: sha1 \(0-23\), sha256 \(0-23\), sha384 \(0-23\)$/m);
  });
});

describe('tpm ek', () => {
  test.each([
    ['rsa-2048', 'L-1', '0x01c00002'],
    ['ec-p384', 'H-3', '0x01c00016'],
  ])('has the certificate of %s as tpm2_nvread reads it', async (algorithm, template, index) => {
    await tpm.tools('tpm2_nvread', index, '-C', 'o', '-o', 'ek.der');
    const [own] = [Buffer.from(await tpm.read('ek.der'))];
    const ek = await printedJson('ek', '-ek', algorithm, '-virtualCaPath', tpm.caPath);
    expect(ek).toMatchObject({ template, trusted: true, kind: 'virtual', manufacturer: 'id:00001014', problems: [] });
    expect(ek.certificates).toMatchObject([{ der: own?.toString('base64') }]);
    const spki = Buffer.from(String(ek.publicKey), 'base64');
    expect(ek.hash).toBe(createHash('sha256').update(spki).digest('hex'));
    expect(ek.chain).toEqual(['CN=unknown', 'CN=swtpm-localca', 'CN=swtpm-localca-rootca']);
  });

  test('says which check a certificate fails, and takes a hash that is enrolled', SLOW, async () => {
    const other = vector(MACHINE, 'issuercert.pem');
    const refused = await onTpm('ek', '-caPath', other);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toMatch(/^Verdict +: not trusted$/m);
    expect(refused.stderr).toMatch(/^Error: the endorsement key has 1 problem$/m);
    expect(refused.stderr).toMatch(/\(check A2\)$/m);
    const { hash } = await printedJson('ek');
    writeFileSync(folder.join('enrolled'), `${hash} hardware\n`);
    const taken = await onTpm('ek', '-hashPath', folder.join('enrolled'));
    expect(taken).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/trusted as hardware, its hash is enrolled/),
    });
    writeFileSync(folder.join('revoked'), `${hash}\n`);
    const revoked = await onTpm('ek', '-virtualCaPath', tpm.caPath, '-revokedPath', folder.join('revoked'));
    expect(revoked).toMatchObject({ code: 1, stderr: expect.stringMatching(/is revoked \(check A8\)/) });
    const missing = await onTpm('ek', '-caPath', '/nowhere');
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ca_path: "\/nowhere" cannot be read: ENOENT/),
    });
  });
});

describe('tpm pcrs', () => {
  test('has what the machine had, in lines that tpm eventlog and tpm ima take', SLOW, async () => {
    const { stdout } = await onTpm('pcrs');
    expect(stdout.toUpperCase()).toBe(readFileSync(vector(MACHINE, 'pcrs-after.txt'), 'utf8').toUpperCase());
    writeFileSync(folder.join('pcrs.txt'), stdout);
    expect(await cli('eventlog', LOG, '-pcrs', folder.join('pcrs.txt'))).toMatchObject({ code: 0 });
    expect(await cli('ima', IMA, '-pcrs', folder.join('pcrs.txt'), '-allowPaddedSha1')).toMatchObject({ code: 0 });
  });

  test('as JSON, of one bank, and of none that there is not', async () => {
    const { sha256, ...others } = await printedJson('pcrs', '-banks', 'sha256');
    expect(others).toEqual({});
    expect(Object.keys(sha256 as object)).toHaveLength(24);
    const refused = await onTpm('pcrs', '-banks', 'sha512');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/no bank "sha512", it has sha1, sha256/) });
  });
});

test.each(['info', 'ek', 'pcrs', 'quote'])('tpm %s says where there is no TPM', async (command) => {
  const { code, stdout, stderr } = await cli(command, '-device', 'device:/dev/no-such-tpm');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^Error: there is no TPM at \/dev\/no-such-tpm: /);
});

describe('tpm quote', () => {
  test.each(['ec-p256', 'rsa-2048'])('with an AK %s is one that tpm2_checkquote takes', async (algorithm) => {
    const path = folder.join(`quote-${algorithm}.json`);
    const { code } = await onTpm('quote', '-ak', algorithm, '-pcrs', '7,0,4', '-banks', 'sha256', '-write', path);
    expect(code).toBe(0);
    const { nonce, attestationKey, quotes } = JSON.parse(readFileSync(path, 'utf8'));
    const [{ quote, signature, pcrs }] = quotes;
    expect(Object.keys(pcrs)).toEqual(['0', '4', '7']);
    await tpm.write('ak.pub', Buffer.from(attestationKey, 'base64'));
    await tpm.write('quote.bin', Buffer.from(quote, 'base64'));
    await tpm.write('quote.sig', Buffer.from(signature, 'base64'));
    const check = ['-u', 'ak.pub', '-m', 'quote.bin', '-s', 'quote.sig', '-g', 'sha256'];
    expect(await tpm.tools('tpm2_checkquote', ...check, '-q', nonce)).toContain('sig: ');
    await expect(tpm.tools('tpm2_checkquote', ...check, '-q', '00'.repeat(32))).rejects.toThrow();
  });

  test('leaves nothing in the TPM, and goes to standard output without a file', async () => {
    const { stdout } = await onTpm('quote');
    expect(JSON.parse(stdout)).toMatchObject({ format: 'assayer tpm evidence', version: 1 });
    expect(JSON.parse(stdout).eventLog).toBeUndefined(); // this kernel's is about another TPM
    expect(await tpm.handles('transient')).toEqual([]);
  });

  test.each([
    ['a nonce that anybody guesses', ['-nonce', '00'], /-nonce: give 16 to 64 bytes/],
    ['a nonce that is none', ['-nonce', 'z'.repeat(32)], /-nonce: give 16 to 64 bytes/],
    ['a PCR that there is not', ['-pcrs', '0,24'], /-pcrs: "24" is no PCR/],
    ['SHA-1', ['-banks', 'sha1'], /-banks: "sha1" cannot be quoted, this TPM has sha256, sha384/],
    ['a log that is not there', ['-eventLog', '/nowhere'], /"\/nowhere" cannot be read: ENOENT/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await onTpm('quote', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});

describe('tpm verify', () => {
  test('takes the evidence, of the TPM that is trusted and for the nonce that was asked for', async () => {
    const { code, stdout, stderr } = await cli('verify', evidence, '-nonce', NONCE, '-virtualCaPath', tpm.caPath);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^EK +: trusted as virtual, by its certificate$/m);
    expect(stdout).toMatch(/^Event log +: gives the PCRs of bank sha256$/m);
    expect(stdout).toMatch(/^IMA log +: the TPM has the first 51 entries, 2 of them violations$/m);
    expect(stdout).toMatch(/^ {2}tpm:secure_boot:enabled$/m);
  });

  test.each<readonly [string, (json: Record<string, never>) => void, readonly string[], RegExp]>([
    ['another nonce', () => {}, ['-nonce', 'ff'.repeat(16)], /another nonce .*\(check C20\)/],
    ['a bank that was not quoted', () => {}, ['-bank', 'sha512'], /no quote of bank sha512, it has sha256, sha384/],
    ['a bank with SHA-1 in it', () => {}, ['-bank', 'sha384'], /\(check E39\)/],
    ['another maker', () => {}, ['-caPath', vector(MACHINE, 'issuercert.pem')], /\(check A2\)/],
    ['a PCR value that was changed', changePcr, [], /not the ones that the TPM quoted \(check C22\)/],
    ['the event log of another machine', changeLog, [], /PCR 0 is .*\(check D28\)/],
    ['an attestation key that did not sign', changeAk, [], /\(check C18\)/],
  ])('refuses %s', async (what, change, args, message) => {
    const json = JSON.parse(readFileSync(evidence, 'utf8'));
    change(json);
    const path = folder.join(`${what.replaceAll(' ', '-')}.json`);
    writeFileSync(path, JSON.stringify(json));
    const { code, stderr } = await cli('verify', path, ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test.each<readonly [string, (text: string) => string, RegExp]>([
    ['cut', (text) => text.slice(0, -100), /is no JSON: it may be cut/],
    [
      'of another version',
      (text) => text.replace('"version": 1', '"version": 2'),
      /version 2, this program reads version 1/,
    ],
    ['of another format', (text) => text.replace('tpm evidence', 'recipe'), /its format is "assayer recipe"/],
    ['empty', () => '', /is no JSON/],
  ])('refuses a file that is %s', async (what, change, message) => {
    const path = folder.join(`${what.replaceAll(' ', '-')}.json`);
    writeFileSync(path, change(readFileSync(evidence, 'utf8')));
    const { code, stdout, stderr } = await cli('verify', path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`Error: "${path}": the evidence file `);
    expect(stderr).toMatch(message);
  });

  test('refuses an endless file, and none', async () => {
    expect(await cli('verify', '/dev/zero')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/more than 100663296 bytes/),
    });
    expect(await cli('verify')).toMatchObject({ code: 1, stderr: expect.stringMatching(/give one file/) });
  });
});

function changePcr({ quotes }: Record<string, { pcrs: Record<string, string> }[]>): void {
  for (const { pcrs } of quotes ?? []) pcrs[4] = 'ab'.repeat((pcrs[4] ?? '').length / 2);
}

function changeLog(json: Record<string, unknown>): void {
  json.eventLog = readFileSync(vector('direct-kernel', 'binary_bios_measurements')).toString('base64');
}

function changeAk(json: Record<string, unknown>): void {
  json.attestationKey = readFileSync(vector(MACHINE, 'ak-ecc.tpm2b_public')).toString('base64');
}

describe('tpm policy', () => {
  let draft: string;
  beforeAll(async () => {
    draft = folder.join('draft.json');
    const learned = await cli('policy', 'learn', evidence, '-name', 'shim', '-pcrs', '7', '-write', draft);
    expect(learned).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  const other = (name: string, change: (text: string) => string) => {
    const path = folder.join(name);
    writeFileSync(path, change(readFileSync(draft, 'utf8')));
    return path;
  };

  test('that was learned holds for the machine, and gives its selectors', async () => {
    const { code, stdout } = await cli('verify', evidence, '-policy', draft, '-output', 'json');
    expect(code).toBe(0);
    const printed = JSON.parse(stdout);
    expect(printed).toMatchObject({ holds: true, policy: 'shim', refusals: [] });
    expect(printed.selectors).toContain('tpm:policy:shim');
  });

  test('that does not hold names rule and event, and diff names them all', SLOW, async () => {
    const changed = other('changed.json', (text) =>
      text.replaceAll('console=ttyS0', 'console=tty0').replace(/"7": "../, '"7": "00'),
    );
    const verified = await cli('verify', evidence, '-policy', changed);
    expect(verified.code).toBe(1);
    expect(verified.stderr).toMatch(
      /^Error: policy "shim": PCR 7 of sha256 is [0-9a-f]{64}, wanted is 00.* \(check P2\)$/m,
    );
    const diff = await cli('policy', 'diff', changed, evidence);
    expect({ code: diff.code, stderr: diff.stderr }).toEqual({ code: 1, stderr: '' });
    const rules = [...diff.stdout.matchAll(/^ {2}(P\d+)/gm)].map(([, rule]) => rule);
    expect(rules).toEqual(['P2', 'P9', 'P12']);
    expect(diff.stdout).toMatch(
      /^ {2}P12, event 38 \(PCR 8, EV_IPL\): the command line of the kernel\n {4}- "\/vmlinuz console=tty0 .*\n {4}\+ "\/vmlinuz console=ttyS0 /m,
    );
    const json = JSON.parse((await cli('policy', 'diff', changed, evidence, '-output', 'json')).stdout);
    expect(json).toMatchObject([
      { policy: 'shim', broken: [{ rule: 'P2' }, { rule: 'P9', event: { number: 38, pcr: 8 } }, {}] },
    ]);
    expect(await cli('policy', 'diff', draft, evidence)).toMatchObject({ code: 0, stdout: 'shim: holds\n' });
    const ofMaker = other('maker.json', (text) =>
      text.replace('"name": "shim"', '"name": "shim", "ek_manufacturers": ["id:00001014"]'),
    );
    const unknown = await cli('policy', 'diff', ofMaker, evidence);
    expect(unknown).toMatchObject({ code: 1, stdout: expect.stringMatching(/^ {2}P16: .*\n.*\n {4}\+ not known/m) });
    const known = await cli('policy', 'diff', ofMaker, evidence, '-virtualCaPath', tpm.caPath);
    expect(known).toMatchObject({ code: 0, stdout: 'shim: holds\n' });
  });

  test('is signed with a key of its own or of OpenSSL, and opened with the public key alone', SLOW, async () => {
    const key = folder.join('policy.key');
    expect(await cli('policy', 'keygen', '-write', key)).toMatchObject({ code: 0 });
    expect(await cli('policy', 'keygen', '-write', key)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/exists/),
    });
    const signed = folder.join('signed.json');
    expect(await cli('policy', 'sign', '-key', key, draft, '-write', signed)).toMatchObject({ code: 0 });
    const verify = (...args: readonly string[]) => cli('verify', evidence, '-policy', ...args);
    expect(await verify(signed, '-policyKey', `${key}.pub`)).toMatchObject({ code: 0 });
    expect(await verify(signed)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is signed: give the public key/),
    });
    expect(await verify(draft, '-policyKey', `${key}.pub`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/check P17/),
    });
    const own = folder.join('own.key');
    await openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', own);
    await openssl('pkey', '-in', own, '-pubout', '-out', `${own}.pub`);
    expect(await cli('policy', 'sign', '-key', own, draft, '-write', signed)).toMatchObject({ code: 0 });
    expect(await verify(signed, '-policyKey', `${own}.pub`)).toMatchObject({ code: 0 });
    const detached = other('detached.json', (text) => text);
    await openssl('pkeyutl', '-sign', '-rawin', '-inkey', key, '-in', detached, '-out', `${detached}.sig`);
    expect(await verify(detached, '-policyKey', `${key}.pub`)).toMatchObject({ code: 0 });
    const forged = folder.join('forged.json');
    const envelope = JSON.parse(readFileSync(signed, 'utf8'));
    writeFileSync(
      forged,
      JSON.stringify({
        ...envelope,
        payload: Buffer.from(readFileSync(draft, 'utf8').replace('shim', 'evil')).toString('base64'),
      }),
    );
    expect(await verify(forged, '-policyKey', `${own}.pub`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/check P17/),
    });
  });

  test.each<readonly [string, () => readonly string[], RegExp]>([
    ['learned from nothing', () => ['learn'], /give the evidence of one machine or more/],
    ['learned from a policy', () => ['learn', draft], /"format" of the evidence file is missing/],
    [
      'with a name that is none',
      () => ['learn', evidence, '-name', 'a b'],
      /the draft: policies\[0\]\.name: must be 1 to 64/,
    ],
    [
      'with rules that there are not',
      () => ['diff', other('rules.json', (text) => text.replace('loaders', 'loader')), evidence],
      /did you mean "loaders"/,
    ],
    ['of another name', () => ['diff', draft, evidence, '-name', 'web'], /there is no policy "web", there are shim/],
    ['signed without a key', () => ['sign', draft], /give the private key with -key/],
    ['signed with a certificate', () => ['sign', draft, '-key', tpm.caPath], /is no private key in PEM/],
    [
      'signed though it is wrong',
      () => ['sign', evidence, '-key', folder.join('policy.key')],
      /is not a known key|is required/,
    ],
  ])('%s is refused', async (_what, args, message) => {
    const { code, stderr } = await cli('policy', ...args());
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});
