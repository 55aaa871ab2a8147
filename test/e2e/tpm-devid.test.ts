import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { runCli } from '../cli/run-cli.ts';
import { makeDevidAuthorities } from '../harness/devid-authorities.ts';
import { TestAgent } from '../harness/running-agent.ts';

const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let folder: TemporaryFolder;
let domain: TestDomain;

const openssl = (...args: readonly string[]) =>
  execFileSync('openssl', args, { cwd: folder.path, stdio: 'pipe' }).toString();
const devid = (...args: readonly string[]) =>
  runCli(['tpm', 'devid', '-device', tpm.tcti, '-write', folder.path, '-commonName', 'node-7', ...args]);

beforeAll(async () => {
  tpm = resources.use(await startSwtpm());
  folder = resources.use(await createTemporaryFolder());
  makeDevidAuthorities(openssl, folder);
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}
  NodeAttestor "tpm_devid" {
    plugin_data {
      devid_ca_path = "${folder.join('root.pem')}"
      endorsement_ca_path = "${tpm.caPath}"
      require_csr_binding = true
    }
  }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

test.each([
  ['no folder', ['-write', ''], '-write is needed: the folder that gets the files'],
  ['no name', ['-commonName', ''], '-commonName is needed: what the certificate says'],
  ['half a CA', ['-caCert', 'x'], '-caCert and -caKey belong together: give both, or none'],
  ['a folder that is not there', ['-write', '/nowhere'], 'the folder "/nowhere" does not exist: create it'],
  ['a password file that is not there', ['-passwordFile', '/nowhere'], '"/nowhere" cannot be read'],
])('the command says what is wrong with %s', async (_what, args, message) => {
  const { code, stderr } = await devid(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test('an agent attests in its sandbox with the files that the command wrote', async () => {
  writeFileSync(folder.join('password'), 'open sesame\n');
  const made = await devid('-keyType', 'ec-p256', '-passwordFile', folder.join('password'));
  expect(made.code, made.stderr).toBe(0);
  expect(made.stdout).toBe(readFileSync(folder.join('devid.csr.pem'), 'utf8'));
  openssl('x509', '-req', '-in', 'devid.csr.pem', '-CA', 'root.pem', '-CAkey', 'root.key', '-out', 'devid.crt.pem');
  const settings = /plugin_data \{\n([^}]*)\}/.exec(made.stderr)?.[1] ?? '';
  await using agent = await TestAgent.start({
    folder: domain.folder.join('agent'),
    serverPort: domain.port,
    settings: `trust_bundle_path = "${domain.bundlePath}"`,
    plugins: `KeyManager "memory" {}
  NodeAttestor "tpm_devid" {
    plugin_data {
      ${settings}
      devid_password = "open sesame"
      tpm_device_path = "${tpm.folder}/tpm"
    }
  }
  WorkloadAttestor "unix" {}`,
  });
  const fingerprint = openssl('x509', '-in', 'devid.crt.pem', '-noout', '-fingerprint', '-sha1');
  const id = `/spire/agent/tpm_devid/${fingerprint.split('=')[1]?.trim().replaceAll(':', '').toLowerCase()}`;
  expect(agent.running.agentId).toBe(`spiffe://example.org${id}`);
  const attestor = agent.running.plugins.find(({ name }) => name === 'tpm_devid');
  expect(attestor?.sandbox).toContain('no-new-privileges');
});
