import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TestDomain } from '../agent/test-domain.ts';
import { curl } from '../harness/curl.ts';
import { eventually } from '../harness/eventually.ts';
import { freePort } from '../harness/free-port.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { ProgramProcess, runCli } from './run-cli.ts';

vi.setConfig({ testTimeout: 90_000 });

/** Writes a line for its start, for each SIGHUP, and for its end. */
const PROGRAM = `const { appendFileSync } = require('node:fs');
const say = (word) => appendFileSync(process.argv[2], word + ' ' + process.pid + '\\n');
process.on('SIGHUP', () => say('renewed'));
process.on('SIGTERM', () => { say('ended'); process.exit(0); });
setInterval(() => {}, 1000);
say('started ' + JSON.stringify(process.argv.slice(3)));
`;

describe('assayer agent helper', () => {
  const resources = new AsyncDisposableStack();
  let domain: TestDomain;
  let agent: TestAgent;

  beforeAll(async () => {
    domain = resources.use(
      await TestDomain.start({ settings: 'default_x509_svid_ttl = "12s"\n  default_jwt_svid_ttl = "8s"' }),
    );
    agent = resources.use(await domain.startAgent());
  }, 60_000);
  afterAll(() => resources.disposeAsync());

  test('waits for an identity, writes all, runs a command without a shell, renews, tells it, and ends it', async () => {
    await using folder = await createTemporaryFolder();
    const port = await freePort();
    await writeFile(folder.join('program.cjs'), PROGRAM);
    await writeFile(
      folder.join('helper.conf'),
      `agent_address = "unix://${agent.running.socketPath}"
cert_dir = "${folder.path}"
cmd = "${process.execPath}"
cmd_args = ["${folder.join('program.cjs')}", "${folder.join('said')}", "$HOME; touch x", "two words"]
renew_signal = "SIGHUP"
svid_file_name = "svid.pem"
svid_key_file_name = "key.pem"
svid_bundle_file_name = "bundle.pem"
jwt_svids = [{ jwt_audience = "db", jwt_extra_audiences = ["web"], jwt_svid_file_name = "db.token" }]
jwt_bundle_file_name = "bundles.json"
jwks_file_name = "keys.json"
health_checks { listener_enabled = true bind_address = "127.0.0.1" bind_port = ${port} }
`,
    );
    const read = (name: string) => readFile(folder.join(name), 'utf8');
    const ready = () => curl(`http://127.0.0.1:${port}/ready`);
    await using helper = new ProgramProcess(['agent', 'helper', '-config', folder.join('helper.conf')]);
    await helper.waitFor('no identity yet');
    expect(await ready()).toMatchObject({ status: 500, body: expect.stringContaining('create a registration entry') });
    expect((await curl(`http://127.0.0.1:${port}/live`)).status).toBe(200);

    const entry = await domain.createEntry('/files', { dnsNames: ['files'] });
    await eventually(async () => expect((await ready()).status).toBe(200), 40_000);
    await eventually(() => read('said'));
    const [started = ''] = (await read('said')).split('\n');
    expect(started).toMatch(/^started \["\$HOME; touch x","two words"\] \d+$/);
    const firstKey = await read('key.pem');
    const firstToken = await read('db.token');
    expect((await stat(folder.join('key.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder.join('db.token'))).mode & 0o777).toBe(0o600);
    const [, payload = ''] = firstToken.split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      sub: 'spiffe://example.org/files',
      aud: ['db', 'web'],
    });
    const bundles = JSON.parse(await read('bundles.json'));
    expect(Buffer.from(bundles['example.org'], 'base64').toString()).toBe(await read('keys.json'));
    expect(JSON.parse(await read('keys.json')).keys).toHaveLength(1);

    const pid = started.split(' ').at(-1);
    await eventually(async () => expect(await read('said')).toContain(`renewed ${pid}`), 40_000);
    const secondKey = await read('key.pem');
    expect(secondKey).not.toBe(firstKey);
    await eventually(async () => expect(await read('db.token')).not.toBe(firstToken));

    await domain.deleteEntry(entry);
    await helper.waitFor('no identity any more');
    expect((await ready()).status).toBe(200); // what is written has not expired
    const commandLine = await readFile(`/proc/${helper.pid}/cmdline`, 'utf8');
    expect(await helper.stop()).toBe(0);
    expect(await read('said')).toContain(`ended ${pid}`);
    expect(isGone(Number(pid))).toBe(true);
    for (const said of [helper.text, commandLine]) {
      expect(said).not.toContain('PRIVATE KEY');
      for (const key of [firstKey, secondKey]) expect(said).not.toContain(key.split('\n')[1]);
      expect(said).not.toContain(firstToken.split('.')[2]);
    }
  });

  test('writes once and ends, where it is no daemon; without an identity it says why', async () => {
    await using folder = await createTemporaryFolder();
    const conf = folder.join('once.conf');
    const keys = `cert_dir = "${folder.path}"
svid_file_name = "both.pem"
svid_key_file_name = "both.pem"
svid_bundle_file_name = "bundle.pem"`;
    await writeFile(conf, `daemon_mode = false\n${keys}`);
    const run = (...args: readonly string[]) =>
      runCli(['agent', 'helper', '-config', conf, ...args], {
        env: { SPIFFE_ENDPOINT_SOCKET: `unix://${agent.running.socketPath}` },
      });
    const denied = await run();
    expect(denied).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('no identity yet: the agent says'),
    });

    await domain.createEntry('/once');
    await eventually(async () => expect(await run()).toMatchObject({ code: 0 }), 40_000);
    const both = await readFile(folder.join('both.pem'), 'utf8');
    expect(both).toMatch(/^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----/);
    expect((await stat(folder.join('both.pem'))).mode & 0o777).toBe(0o600);

    await writeFile(conf, `${keys}\nhint = "other"`);
    const hinted = await run('-daemon-mode=false');
    expect(hinted).toMatchObject({ code: 1, stderr: expect.stringContaining('no identity has the hint "other"') });

    await writeFile(conf, keys.replace('cert_dir', 'cert_folder'));
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('cert_folder: is not a known key') });

    await writeFile(conf, `agent_address = "${folder.join('none.sock')}"\n${keys}`);
    const unreachable = await run('-daemon-mode=false');
    expect(unreachable).toMatchObject({ code: 1, stderr: expect.stringContaining('does not answer: start it') });
  });
});
