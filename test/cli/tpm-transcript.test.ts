import { generateKeyPairSync } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { startSwtpm } from '../../src/testing/swtpm.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { ProgramProcess, runCli } from './run-cli.ts';
import { TpmNormalizer } from './tpm-transcript/normalize.ts';
import { TPM_SECTIONS, type TpmStep } from './tpm-transcript/steps.ts';

// `UPDATE_TRANSCRIPT=1 npx vitest run test/cli/tpm-transcript.test.ts` writes the page anew.
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'tpm.md');
const MACHINE = join(import.meta.dirname, '..', 'vectors', 'tpm', 'shim-grub-secure-boot');
const INTRODUCTION = `# A TPM from the command line

\`assayer tpm …\` asks a TPM, records what it says, and judges it as a server would. A test runs the commands of this page on a software TPM that plays a recorded machine, and compares the
answers; hashes, times and versions are put under names of their own.

## A software TPM

\`\`\`console
`;
const AFTER_SIMULATE = `\`\`\`

It lives until this command is interrupted, or whoever started it ends (\`-keep\`: until it is interrupted); as many as you like at once. Both configurations are complete:
run the two commands and the agent attests. swtpm serves one client at a time.

\`-eventLog\` and \`-imaLog\` make a laptop play the machine in the data centre: the PCRs become what the logs of that machine say, the agent sends these logs, and the server judges them ([measured-boot.md](measured-boot.md)).
\`-imaPaddedBanks sha384\` is for kernels that lack a bank’s hash, as
Debian’s. \`-ek\`, \`-pcrBanks\` and \`-trustDomain\` choose the rest, \`-output json\` is for programs. With a command behind the flags, that runs with the TPM in its environment, and its exit code counts:
\`assayer tpm simulate -eventLog boot.log assayer tpm pcrs\`. The variables are \`ASSAYER_TPM_DEVICE\`, \`TPM2TOOLS_TCTI\`, \`ASSAYER_TPM_CA_PATH\`, \`ASSAYER_TPM_EK_HASH\`, \`ASSAYER_TPM_SERVER_CONFIG\` and
\`ASSAYER_TPM_AGENT_CONFIG\`. Tests have the same in [assayer/testing](plugins/testing.md#a-tpm).

It needs the Debian packages \`swtpm\`, \`swtpm-tools\`, \`tpm2-tools\`, \`openssl\` and \`libtss2-tcti-swtpm0\`.
`;
const END = `## What a file cannot prove

That the attestation key is in the TPM of the endorsement key is proven to a server alone, by TPM2_ActivateCredential while both are there. A file is as good as the word of whoever recorded it: use
it to learn policies, to look into a machine, and to try a policy before it is in force, not to admit nodes.
`;

test('every command of the TPM answers what docs/tpm.md has', { timeout: 300_000 }, async () => {
  await using folder = await createTemporaryFolder();
  await using tpm = await startSwtpm({
    eventLog: await readFile(join(MACHINE, 'binary_bios_measurements')),
    imaLog: await readFile(join(MACHINE, 'ima-binary.bin')),
    imaPaddedBanks: ['sha384'],
  });
  await copyFile(join(MACHINE, 'binary_bios_measurements'), folder.join('boot.log'));
  await copyFile(join(MACHINE, 'ima-binary.bin'), folder.join('ima.log'));
  await copyFile(join(MACHINE, 'issuercert.pem'), folder.join('other.pem'));
  await copyFile(tpm.caPath, folder.join('ca.pem'));
  const { publicKey } = generateKeyPairSync('ed25519');
  await writeFile(folder.join('other.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const normalizer = new TpmNormalizer([
    [folder.path, '.'],
    [tpm.tcti, 'device:/dev/tpmrm0'],
  ]);
  const env = { ASSAYER_TPM_DEVICE: tpm.tcti };
  const hash = JSON.parse((await runCli(['tpm', 'ek', '-output', 'json'], { env })).stdout).hash;
  normalizer.name(hash, '3f1c2b…');
  const parts = [`${INTRODUCTION}${await simulate()}${AFTER_SIMULATE}`];
  for (const { title, says, steps } of TPM_SECTIONS) {
    parts.push(`## ${title}\n`, ...(says === undefined ? [] : [`${says}\n`]));
    for (const step of steps) {
      const { edit } = step;
      if (edit !== undefined) {
        const path = folder.join(edit.file);
        await writeFile(path, (await readFile(path, 'utf8')).replaceAll(edit.from, edit.to));
      }
      const result = await runCli(step.args, { cwd: folder.path, env });
      parts.push(show(step, normalizer.apply(result.stdout), normalizer.apply(result.stderr), result.code));
    }
  }
  const page = `${[...parts, END].join('\n')}`;
  if (process.env.UPDATE_TRANSCRIPT !== undefined) await writeFile(PAGE, page);
  expect(page).toBe(await readFile(PAGE, 'utf8'));
});

test('the page has every command of the TPM', async () => {
  const page = await readFile(PAGE, 'utf8');
  const commands = [...COMMANDS.keys()].filter((name) => name.startsWith('tpm '));
  const known = /^tpm (?:devid|eventlog|ima)\b/; // with pages of their own
  expect(commands.filter((name) => !known.test(name) && !page.includes(`assayer ${name}`))).toEqual([]);
});

/** What a simulation prints before it waits. */
async function simulate(): Promise<string> {
  await using program = new ProgramProcess(['tpm', 'simulate'], 'stdout');
  await program.waitFor('Ctrl-C.\n');
  const [, hash = ''] = /^EK hash +: (\S+)$/m.exec(program.text) ?? [];
  const normalizer = new TpmNormalizer([[hash, '8d03a7…']]);
  return `$ assayer tpm simulate\n${normalizer.apply(program.text)}`;
}

function show({ says, args, lines }: TpmStep, stdout: string, stderr: string, code: number | null): string {
  const all = `${stdout}${stderr}`.split('\n').filter((line, index, list) => line !== '' || index < list.length - 1);
  const shown = lines === undefined ? all : [...all.slice(0, lines), '…'];
  const block = ['```console', `$ assayer ${args.join(' ')}`, ...shown, '```', ''];
  const end = code === 0 ? [] : [`Exit code ${code}.`, ''];
  return [...(says === undefined ? [] : [says, '']), ...block, ...end].join('\n');
}
