import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeResponse } from '../../src/plugins/tpm/codec.ts';
import { Status } from '../../src/spiffe/status.ts';
import { type Swtpm, type SwtpmEk, startSwtpm } from '../../src/testing/swtpm.ts';
import { encodePem } from '../../src/x509/pem.ts';
import type { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { agentRecords } from './admin-records.ts';
import { ekHashByTools, readPcrByTools } from './ek-from-tools.ts';
import { nothingLeftIn } from './nothing-left.ts';
import { secretForms } from './secret-forms.ts';
import { TpmNode } from './tpm-node.ts';
import { tpmServer } from './tpm-server.ts';

const run = promisify(execFile);
const EKS: readonly SwtpmEk[] = ['rsa-2048', 'ec-p384', 'ec-p256'];

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let tpm: Swtpm;
const hashes = new Map<SwtpmEk, string>();
/** Trust the maker of the TPM; know three keys by their hashes; want measured PCRs. */
let byCa: TestServer;
let byHash: TestServer;
let measured: TestServer;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  tpm = resources.use(await startSwtpm({ ek: EKS, pcrBanks: 'sha256,sha384' }));
  for (const ek of EKS) hashes.set(ek, await ekHashByTools(tpm, ek));
  await writeFile(folder.join('hashes'), `# ours\n${[...hashes.values()].join('\n')}\n`);
  [byCa, byHash, measured] = await Promise.all([
    tpmServer(resources, `virtual_ca_path = "${tpm.caPath}"`),
    tpmServer(resources, `hash_path = "${folder.join('hashes')}"`),
    tpmServer(resources, `virtual_ca_path = "${tpm.caPath}"\npcr_bank = "sha384"\npcrs = [0, 7, 9]`),
  ]);
});
afterAll(() => resources.disposeAsync());

describe.each(EKS)('a TPM with the endorsement key %s', (ek) => {
  let node: TpmNode;
  let agentId: string;
  beforeAll(async () => {
    node = await TpmNode.start(tpm.tcti, `ek_algorithm = "${ek}"`);
    agentId = `spiffe://example.org/spire/agent/tpm/${hashes.get(ek)}`;
  });
  afterAll(() => node[Symbol.asyncDispose]());

  test('is admitted by its CA, under the hash that tpm2-tools computes, with an SVID that openssl verifies', async () => {
    const attested = await node.attest(byCa);
    expect(attested).toMatchObject({ agentId, reattestable: true });
    expect(attested.challenges).toHaveLength(1);
    const [leaf = new Uint8Array(0)] = attested.chain;
    const svid = new X509Certificate(leaf);
    expect(svid.subjectAltName).toBe(`URI:${agentId}`);
    expect(svid.publicKey.export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(attested.csrKey.publicKey));
    const roots = byCa.running.bundle.x509Authorities.map(({ certificate }) => encodePem('CERTIFICATE', certificate));
    await writeFile(folder.join('bundle.pem'), roots.join(''));
    await writeFile(folder.join('svid.pem'), encodePem('CERTIFICATE', leaf));
    const { stdout } = await run('openssl', ['verify', '-CAfile', folder.join('bundle.pem'), folder.join('svid.pem')]);
    expect(stdout).toContain('svid.pem: OK');
  });

  test('has the documented selectors', async () => {
    await node.attest(byCa);
    const [record] = (await agentRecords(byCa)).filter((found) => found.agentId === agentId);
    const { stdout } = await run('sh', ['-c', FINGERPRINTS, 'sh', tpm.caPath]);
    const firmware = [...(await tpm.tools('tpm2_getcap', 'properties-fixed')).matchAll(FIRMWARE_VERSION)];
    const [, resets] = /reset_count: (\d+)/.exec(await tpm.tools('tpm2_readclock')) ?? [];
    expect(record?.selectors.toSorted()).toEqual(
      [
        `tpm:pub_hash:${hashes.get(ek)}`,
        'tpm:ek:virtual',
        'tpm:manufacturer:id:00001014',
        'tpm:model:swtpm',
        `tpm:firmware:${firmware.map(([, version = '']) => version.toLowerCase().padStart(8, '0')).join('')}`,
        ...stdout
          .trim()
          .split('\n')
          .map((fingerprint) => `tpm:ca:fingerprint:${fingerprint}`),
        'tpm:csr:bound',
        `tpm:reset_count:${resets}`,
      ].toSorted(),
    );
    expect(record?.canReattest).toBe(true);
  });

  test('is admitted by its enrolled hash', async () => {
    expect(await node.attest(byHash)).toMatchObject({ agentId });
    const [record] = (await agentRecords(byHash)).filter((found) => found.agentId === agentId);
    expect(record?.selectors).toContain('tpm:ek:virtual');
    expect(record?.selectors.filter((selector) => /manufacturer|ca:/.test(selector))).toEqual([]);
  });

  test('attests again under the same ID, with another SVID', async () => {
    const [first, second] = [await node.attest(byCa), await node.attest(byCa)];
    expect([first.agentId, second.agentId]).toEqual([agentId, agentId]);
    const serials = [first, second].map(({ chain: [leaf] }) => new X509Certificate(leaf ?? '').serialNumber);
    expect(serials[0]).not.toBe(serials[1]);
    const records = (await agentRecords(byCa)).filter((found) => found.agentId === agentId);
    expect(records.map(({ serialNumber }) => BigInt(serialNumber))).toEqual([BigInt(`0x${serials[1]}`)]);
    expect(Buffer.from(first.challenges[0] ?? '')).not.toEqual(Buffer.from(second.challenges[0] ?? ''));
  });

  test('the secret goes from the node to the server, and nowhere else', async () => {
    const { answers, challenges } = await node.attest(byCa);
    const { secret } = decodeResponse(answers[0] ?? new Uint8Array(0));
    const logs = JSON.stringify([...byCa.records, ...node.records], (_key, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const form of secretForms(secret)) expect(logs).not.toContain(form);
    expect(Buffer.from(challenges[0] ?? '').includes(Buffer.from(secret))).toBe(false);
  });

  test('leaves nothing in the TPM', async () => {
    await node.attest(byCa);
    await nothingLeftIn(tpm);
  });
});

describe('PCRs that the server wants to know', () => {
  let node: TpmNode;
  beforeAll(async () => {
    node = await TpmNode.start(tpm.tcti);
  });
  afterAll(() => node[Symbol.asyncDispose]());

  test('are refused while nothing was measured into them (check C23)', async () => {
    await expect(node.attest(measured)).rejects.toMatchObject({
      status: Status.PermissionDenied,
      message: expect.stringMatching(/\(check C23\)$/),
    });
    expect(await agentRecords(measured)).toEqual([]);
  });

  test('become selectors once they are measured', async () => {
    await tpm.tools('tpm2_pcrextend', `7:sha384=${'ab'.repeat(48)}`);
    await node.attest(measured);
    const [record] = await agentRecords(measured);
    const values = [0, 7, 9].map(
      async (index) => `tpm:pcr:sha384:${index}:${await readPcrByTools(tpm, 'sha384', index)}`,
    );
    expect(record?.selectors.filter((selector) => selector.startsWith('tpm:pcr:'))).toEqual(await Promise.all(values));
  });
});

/** SHA-256 of every certificate of a PEM file, issuer of the EK first. */
const FINGERPRINTS = `
awk -v folder="$(mktemp -d)" '/BEGIN/ { n++ } { print > folder "/" n ".pem" } END { print folder }' "$1" | while read -r folder; do
  for certificate in $(ls -r "$folder"); do
    openssl x509 -in "$folder/$certificate" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
  done
  rm -r "$folder"
done`;
const FIRMWARE_VERSION = /TPM2_PT_FIRMWARE_VERSION_[12]:\s+raw: 0x([0-9A-F]+)/g;
