import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tpmAgentConfig } from '../src/plugins/tpm/agent-config.ts';
import { startSwtpm } from '../src/testing/swtpm.ts';
import { TpmDevice } from '../src/tpm-device/device.ts';
import { ekHash, loadEndorsementKey } from '../src/tpm-device/endorsement.ts';

/** The TPM that the node attests with, and how the server knows it. */
export interface DemoTpm extends AsyncDisposable {
  /** TCTI string of tpm2-tss. */
  readonly tcti: string;
  readonly description: string;
  /** Lines of `plugin_data` for the server's half. */
  readonly trust: string;
  /** A selector that this TPM earns, without its type. */
  readonly selector: string;
  /** Where the demonstration started the TPM itself. */
  readonly pid?: number;
}

/** The TPM that already runs, its endorsement key enrolled by hash; else a software TPM made for the occasion. */
export async function openDemoTpm(tcti: string | undefined, folder: string): Promise<DemoTpm> {
  return tcti === undefined || tcti === '' ? await manufacture() : await enroll(tcti, folder);
}

async function manufacture(): Promise<DemoTpm> {
  const tpm = await startSwtpm({ ek: ['rsa-2048'] });
  return {
    tcti: tpm.tcti,
    description: 'a software TPM, made with an RSA-2048 endorsement certificate',
    trust: `virtual_ca_path = "${tpm.caPath}"`,
    selector: 'ek:virtual',
    pid: tpm.pid,
    [Symbol.asyncDispose]: () => tpm[Symbol.asyncDispose](),
  };
}

async function enroll(tcti: string, folder: string): Promise<DemoTpm> {
  await using device = await TpmDevice.open(tcti);
  const ek = await loadEndorsementKey(device, tpmAgentConfig.parse({}).ek_algorithm);
  await using _key = ek.key;
  const hash = ekHash(ek);
  const enrolled = join(folder, 'enrolled');
  await mkdir(enrolled);
  await writeFile(join(enrolled, hash), '');
  return {
    tcti,
    description: `the TPM at ${tcti}, its endorsement key enrolled`,
    trust: `hash_path = "${enrolled}"`,
    selector: `pub_hash:${hash}`,
    [Symbol.asyncDispose]: async () => {},
  };
}
