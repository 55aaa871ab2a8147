import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readConfigText } from '../../src/config/read-config.ts';
import { tpmServerConfig } from '../../src/plugins/tpm/config.ts';
import { type Policies, readPolicies } from '../../src/plugins/tpm/policies.ts';
import { findOperatorReason } from '../../src/rpc/operator-reason.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { deniedBy } from '../harness/denied.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { bootedTpm, logsOf } from './recorded-boot.ts';
import { type Attestation, attest } from './tpm-server-fixture.ts';

const machine = 'shim-grub-secure-boot';
const SECURE: BootPolicy = { name: 'secure', secure_boot: {} };
const SERVER_KERNEL: BootPolicy = { name: 'server', kernel_cmdline: ['/vmlinuz console=ttyS0 *'] };
const NEVER: BootPolicy = { name: 'never', kernel_cmdline: ['quiet'] };

const OTHERS_TOO: Policies = { list: [SECURE], version: undefined, admitsOthers: true };

const booted = (policies: readonly BootPolicy[], rest: Partial<Attestation> = {}): Attestation => ({
  tpm: bootedTpm(machine),
  logs: logsOf(machine),
  policies: { list: policies, version: undefined, admitsOthers: false },
  ...rest,
});

async function refusalOf(attestation: Attestation): Promise<unknown> {
  return await attest(attestation).then(
    () => expect.unreachable('admitted'),
    (error: unknown) => error,
  );
}

test('the first policy that holds gives its name', async () => {
  const { selectorValues } = await attest(booted([NEVER, SECURE, SERVER_KERNEL]));
  expect(selectorValues.filter((value) => value.startsWith('policy'))).toEqual(['policy:secure']);
  const signed = booted([SERVER_KERNEL], { policies: { list: [SERVER_KERNEL], version: 7, admitsOthers: false } });
  expect((await attest(signed)).selectorValues).toEqual(expect.arrayContaining(['policy:server', 'policy_version:7']));
});

test('where none holds, a node is refused: the operator learns by what, and the node does not', async () => {
  const refusal = await refusalOf(booted([NEVER]));
  expect(refusal).toMatchObject({
    code: 'ATTESTATION_DENIED',
    message: 'what the node booted meets no policy: the server has logged which rule failed on what',
  });
  expect(findOperatorReason(refusal)).toMatch(
    /^policy "never": event \d+ \(PCR 8, EV_IPL\): the command line of the kernel is "\/vmlinuz/,
  );
});

test('or admitted with fewer selectors, where the operator says so', async () => {
  const { selectorValues } = await attest(
    booted([NEVER], { policies: { list: [NEVER], version: undefined, admitsOthers: true } }),
  );
  expect(selectorValues.some((value) => value.startsWith('policy:'))).toBe(false);
  expect(selectorValues).toContain('secure_boot:enabled');
});

test('a node without an event log meets no policy', async () => {
  const refusal = await refusalOf(booted([SECURE], { logs: {} }));
  expect(findOperatorReason(refusal)).toMatch(/no event log came with the quote/);
  const admitted = await attest(booted([SECURE], { logs: {}, policies: OTHERS_TOO }));
  expect(admitted.selectorValues.some((value) => /^(secure_boot|kernel|boot|policy|dbx):/.test(value))).toBe(false);
});

test('a log that does not replay is refused by the number of the check alone, whatever is admitted otherwise', async () => {
  const refusal = await refusalOf(booted([SECURE], { logs: logsOf('direct-kernel'), policies: OTHERS_TOO }));
  expect(refusal).toEqual(deniedBy('D28'));
  expect(refusal).toMatchObject({ message: 'what the node booted is not proven (check D28)' });
  expect(findOperatorReason(refusal)).toMatch(/^PCR 0 is [0-9a-f]{64}, but the event log gives/);
});

test('policies ask for the logs that they have rules on', async () => {
  const asked = new Set<string>();
  const onRequest: Attestation['onRequest'] = ({ log }) => asked.add(log);
  await attest(booted([SECURE], { onRequest }));
  expect([...asked]).toEqual(['event', 'command line']);
  const files: BootPolicy = { name: 'files', ima: { policies: ['tcb'], ignore: ['*'], violations: 9 } };
  const { selectorValues } = await attest(booted([files], { onRequest }));
  expect([...asked]).toEqual(['event', 'command line', 'ima']);
  expect(selectorValues).toEqual(expect.arrayContaining(['policy:files', 'ima:enforced']));
});

const configured = (text: string) =>
  readConfigText(tpmServerConfig, `hash_path = "/unused"\n${text}`, { source: 'plugin_data' });

test('policies are blocks of the configuration, in order', async () => {
  const config = configured('policy "b" { secure_boot {} }\npolicy "a" { kernel_cmdline = ["quiet"] }');
  const { list, admitsOthers } = await readPolicies(config);
  expect(list.map(({ name }) => name)).toEqual(['b', 'a']);
  expect(admitsOthers).toBe(false);
  expect((await readPolicies(configured('otherwise = "admit_with_fewer_selectors"'))).admitsOthers).toBe(true);
});

test.each([
  ['policy "a" {}', /has no rule/],
  ['policy "a" { gurke = 1 }', /gurke/],
  ['policy "a" { secure_boot {} }\npolicy "a" { secure_boot {} }', /a name each of their own/],
  ['policy "a" { secure_boot {} }\npolicy_path = "/a"\npolicy_public_key_path = "/b"\nstate_path = "/c"', /keep one/],
  ['policy_path = "/a"', /believed by its signature/],
  ['policy_path = "/a"\npolicy_public_key_path = "/b"', /needs "state_path"/],
])('%s is a mistake', (text, message) => {
  expect(() => configured(text)).toThrow(message);
});

test('a key of IMA that is none is a mistake of the configuration, not of a node', async () => {
  const config = configured('policy "a" { ima { policies = ["tcb"], keys = ["no PEM"] } }');
  await expect(readPolicies(config)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('the policy a: a key for IMA is neither a certificate nor a public key'),
  });
});

test('a signed file is in force until one with a higher version is, and none comes back', async () => {
  await using folder = await createTemporaryFolder();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const paths = { file: folder.join('policy.json'), key: folder.join('policy.pem'), state: folder.join('state') };
  await mkdir(paths.state);
  await writeFile(paths.key, publicKey.export({ type: 'spki', format: 'pem' }));
  const config = configured(
    `policy_path = "${paths.file}"\npolicy_public_key_path = "${paths.key}"\nstate_path = "${paths.state}"`,
  );
  const publish = async (version: number, by = privateKey) => {
    const payload = Buffer.from(JSON.stringify({ version, policies: [{ name: 'secure', secure_boot: {} }] }));
    const signature = sign(null, payload, by).toString('base64');
    await writeFile(paths.file, JSON.stringify({ payload: payload.toString('base64'), signature }));
  };
  await publish(2);
  expect(await readPolicies(config)).toMatchObject({ version: 2, list: [{ name: 'secure' }] });
  await publish(3);
  await readPolicies(config);
  await publish(2);
  await expect(readPolicies(config)).rejects.toEqual(deniedBy('P18'));
  await publish(4, generateKeyPairSync('ed25519').privateKey);
  await expect(readPolicies(config)).rejects.toEqual(deniedBy('P17'));
  await writeFile(`${paths.state}/policy-version`, 'gurke');
  await publish(4);
  await expect(readPolicies(config)).rejects.toMatchObject({
    message: expect.stringMatching(/remove it to begin anew/),
  });
});

test('a signature may stand beside the file, and a file that is not there is a mistake', async () => {
  await using folder = await createTemporaryFolder();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  await writeFile(folder.join('key.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  const of = (name: string) =>
    configured(
      `policy_path = "${folder.join(name)}"\npolicy_public_key_path = "${folder.join('key.pem')}"\nstate_path = "${folder.path}"`,
    );
  const payload = Buffer.from(JSON.stringify({ version: 1, policies: [{ name: 'secure', secure_boot: {} }] }));
  await writeFile(folder.join('policy.json'), payload);
  await writeFile(folder.join('policy.json.sig'), sign(null, payload, privateKey));
  expect(await readPolicies(of('policy.json'))).toMatchObject({ version: 1 });
  await expect(readPolicies(of('nothing.json'))).rejects.toMatchObject({
    message: expect.stringMatching(/^policy_path: ".*nothing.json" cannot be read: ENOENT/),
  });
});
