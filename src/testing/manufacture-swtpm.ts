import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireCommand } from './required-tools.ts';

const run = promisify(execFile);

/**
 * swtpm_setup with a CA of its own, so that two at once do not share one. It always makes both of its EK certificates, for RSA-2048 and P-384.
 *
 * @param folder gets `state`, which is the TPM, and `ca.pem`: the root and the CA that issued the certificates
 * @param pcrBanks such as `sha256,sha384`
 * @throws SpiffeError `FAILED_PRECONDITION` where a package is missing
 */
export async function manufactureSwtpm(folder: string, pcrBanks: string): Promise<void> {
  const [state, ca] = [join(folder, 'state'), join(folder, 'ca')];
  await mkdir(state);
  await mkdir(ca);
  const caConfig = [
    `statedir = ${ca}`,
    `signingkey = ${ca}/signkey.pem`,
    `issuercert = ${ca}/issuercert.pem`,
    `certserial = ${ca}/certserial`,
  ];
  await writeFile(join(ca, 'ca.conf'), lines(caConfig));
  const model = ['--platform-manufacturer Assayer', '--platform-version 1', '--platform-model test'];
  await writeFile(join(ca, 'ca.options'), lines(model));
  const setUp = [
    `create_certs_tool = ${requireCommand('swtpm_localca', 'swtpm-tools')}`,
    `create_certs_tool_config = ${ca}/ca.conf`,
    `create_certs_tool_options = ${ca}/ca.options`,
  ];
  await writeFile(join(ca, 'setup.conf'), lines(setUp));
  await run(requireCommand('swtpm_setup', 'swtpm-tools'), [
    ...['--tpm2', '--tpm-state', `dir://${state}`, '--config', join(ca, 'setup.conf')],
    ...['--create-ek-cert', '--create-platform-cert', '--pcr-banks', pcrBanks],
  ]);
  const certificates = ['swtpm-localca-rootca-cert.pem', 'issuercert.pem'].map((name) => readFile(join(ca, name)));
  await writeFile(join(folder, 'ca.pem'), Buffer.concat(await Promise.all(certificates)));
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}
