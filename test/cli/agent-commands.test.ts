import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { AgentProcess, createJoinToken, writeAgentConf } from './agent-process.ts';
import { ProgramProcess, runCli } from './run-cli.ts';
import { ServerProcess } from './server-process.ts';

const WORKLOAD = 'spiffe://example.org/workload';
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;
let agent: AgentProcess;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
  const entry = ['-parentID', 'spiffe://example.org/node', '-spiffeID', WORKLOAD, '-hint', 'main'];
  await server.run(['entry', 'create', ...entry, '-selector', `unix:uid:${process.getuid?.()}`]);
  agent = resources.use(await AgentProcess.start({ folder: folder.path, server }));
});
afterAll(() => resources.disposeAsync());

describe('agent api fetch', () => {
  test.each([[['api', 'fetch']], [['api', 'fetch', 'x509']]])('%j prints what there is', async (words) => {
    const { code, stdout, stderr } = await agent.run(words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC`;
    const lines = [
      String.raw`Received 1 svid after [\d.]+ms`,
      '',
      `SPIFFE ID:\t\t${WORKLOAD}`,
      'Hint:\t\t\tmain',
      `SVID Valid After:\t${time}`,
      `SVID Valid Until:\t${time}`,
      `CA #1 Valid After:\t${time}`,
      `CA #1 Valid Until:\t${time}`,
    ];
    expect(stdout).toMatch(new RegExp(`^${lines.join('\n')}\n\n$`));
  });

  test('-write writes files that openssl verifies, the key for its owner alone', async () => {
    const path = folder.join('written');
    await mkdir(path);
    const { code, stdout } = await agent.run(['api', 'fetch', '-write', path]);
    expect(code).toBe(0);
    for (const name of ['svid.0.pem', 'svid.0.key', 'bundle.0.pem'])
      expect(stdout).toContain(`Wrote ${path}/${name}\n`);
    execFileSync('openssl', ['verify', '-CAfile', `${path}/bundle.0.pem`, `${path}/svid.0.pem`]);
    expect((await stat(`${path}/svid.0.key`)).mode & 0o777).toBe(0o600);
    const leaf = new X509Certificate(await readFile(`${path}/svid.0.pem`));
    const publicKey = execFileSync('openssl', ['pkey', '-in', `${path}/svid.0.key`, '-pubout'], { encoding: 'utf8' });
    expect(leaf.publicKey.export({ type: 'spki', format: 'pem' })).toBe(publicKey);
  });

  test('-silent prints nothing, and still writes', async () => {
    const path = folder.join('silent');
    await mkdir(path);
    expect(await agent.run(['api', 'fetch', '-silent', '-write', path])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(`${path}/svid.0.pem`)).toBe(true);
  });

  test('prints JSON', async () => {
    const { stdout } = await agent.run(['api', 'fetch', '-output', 'json']);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ crl: [], federated_bundles: {}, svids: [{ spiffe_id: WORKLOAD, hint: 'main' }] });
    expect(new X509Certificate(Buffer.from(answer.svids[0].x509_svid, 'base64')).subjectAltName).toBe(
      `URI:${WORKLOAD}`,
    );
  });

  test('refuses a folder that does not exist', async () => {
    const { code, stderr } = await agent.run(['api', 'fetch', '-write', '/nonexistent']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'Error: the folder "/nonexistent" does not exist: create it\n',
    });
  });

  test('tells that nobody answers at the socket', async () => {
    const { code, stdout, stderr } = await runCli(['agent', 'api', 'fetch', '-socketPath', '/nonexistent/a.sock']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^Error: cannot reach the agent at \/nonexistent\/a\.sock: there is no such socket; start it.*\n$/,
    );
  });
});

describe('agent api fetch jwt', () => {
  test('prints tokens and bundles', async () => {
    const { code, stdout } = await agent.run(['api', 'fetch', 'jwt', '-audience', 'a,b']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^token\\(${WORKLOAD}\\):\\n\\t([\\w-]+\\.){2}[\\w-]+\\nhint\\(${WORKLOAD}\\):\\n\\tmain\\n`),
    );
    expect(stdout).toContain('bundle(spiffe://example.org):\n\t{');
  });

  test.each(['-output', '-format'])('prints JSON for %s', async (flag) => {
    const { stdout } = await agent.run(['api', 'fetch', 'jwt', '-audience', 'a', '-spiffeID', WORKLOAD, flag, 'json']);
    expect(JSON.parse(stdout)).toEqual([
      { svids: [{ spiffe_id: WORKLOAD, svid: expect.any(String), hint: 'main' }] },
      { bundles: { 'spiffe://example.org': expect.any(String) } },
    ]);
  });

  test('tells that an identity is not there', async () => {
    const flags = ['-audience', 'a', '-spiffeID', 'spiffe://example.org/other'];
    const { code, stdout, stderr } = await agent.run(['api', 'fetch', 'jwt', ...flags]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('Error: no identity issued: "assayer agent why" tells what is missing\n');
  });

  test('wants an audience', async () => {
    const { code, stderr } = await agent.run(['api', 'fetch', 'jwt']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: give one -audience at least\n' });
  });
});

describe('agent api validate jwt', () => {
  let token: string;
  beforeAll(async () => {
    const { stdout } = await server.run(['jwt', 'mint', '-spiffeID', WORKLOAD, '-audience', 'a']);
    token = stdout.trim();
  });

  test('tells that a token is valid', async () => {
    const { code, stdout } = await agent.run(['api', 'validate', 'jwt', '-audience', 'a', '-svid', token]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^SVID is valid\\.\nSPIFFE ID : ${WORKLOAD}\nClaims    : \\{.*\\}\n$`)),
    });
  });

  test('prints JSON', async () => {
    const { stdout } = await agent.run(['api', 'validate', 'jwt', '-audience', 'a', '-svid', token, '-output', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ spiffe_id: WORKLOAD, claims: { sub: WORKLOAD, aud: ['a'] } });
  });

  test.each([
    ['another audience', () => ['-audience', 'b', '-svid', token]],
    ['a signature that is not its own', () => ['-audience', 'a', '-svid', `${token.slice(0, -8)}AAAAAAAA`]],
    ['what is no token', () => ['-audience', 'a', '-svid', 'x']],
  ])('tells that a token is not valid for %s', async (_what, flags) => {
    const { code, stdout, stderr } = await agent.run(['api', 'validate', 'jwt', ...flags()]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: SVID is not valid: .+\n$/);
  });
});

describe('agent api watch', () => {
  test('prints what there is, and ends at SIGINT with exit code 0', async () => {
    const watch = new ProgramProcess(['agent', 'api', 'watch', '-socketPath', agent.socketPath], 'stdout');
    await watch.waitFor(`SPIFFE ID:\t\t${WORKLOAD}\n`);
    watch.signal('SIGINT');
    expect(await watch.ended()).toBe(0);
  });
});

describe('agent healthcheck', () => {
  test('is healthy', async () => {
    expect(await agent.run(['healthcheck'])).toEqual({ code: 0, stdout: 'Agent is healthy.\n', stderr: '' });
  });

  test('finds the socket by the variables', async () => {
    const env = { SPIRE_AGENT_PUBLIC_SOCKET: agent.socketPath };
    expect((await runCli(['agent', 'healthcheck', '-verbose'], { env })).code).toBe(0);
    const template = { SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE: `${folder.path}/%i.sock` };
    expect((await runCli(['agent', 'healthcheck', '-instance', 'agent'], { env: template })).code).toBe(0);
  });

  test('tells that nobody answers', async () => {
    const { code, stdout, stderr } = await runCli(['agent', 'healthcheck', '-socketPath', '/nonexistent/a.sock']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: agent is unhealthy: cannot reach the agent at .*\n$/);
  });
});

describe('agent validate', () => {
  test('says that a file is valid', async () => {
    const flags = ['-config', folder.join('agent.conf')];
    const stdout = 'Agent configuration file is valid.\n';
    expect(await runCli(['agent', 'validate', ...flags])).toEqual({ code: 0, stdout, stderr: '' });
  }, 90_000);

  test('hands on what plugins have against their configuration, of all of them', async () => {
    const [config, data] = [folder.join('mistaken.conf'), folder.join('unix.hcl')];
    await writeFile(data, 'discover_workload_pth = true');
    const plugins = [
      'NodeAttestor "join_token" {}',
      'KeyManager "disk" { plugin_data { directry = "keys" } }',
      `WorkloadAttestor "unix" { plugin_data_file = "${data}" }`,
    ];
    const agentPart = (await readFile(folder.join('agent.conf'), 'utf8')).split(/^plugins/m)[0];
    await writeFile(config, `${agentPart}plugins {\n${plugins.join('\n')}\n}\n`);
    const { code, stdout, stderr } = await runCli(['agent', 'validate', '-config', config]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/failed to validate plugin "disk": .*directry.*did you mean "directory"/);
    expect(stderr).toMatch(/failed to validate plugin "unix": .*unix\.hcl:1:1: discover_workload_pth/);
  }, 90_000);

  test('tells every mistake, one a line', async () => {
    const flags = ['-config', folder.join('agent.conf'), '-logLevel', 'loud', '-trustDomain', 'UPPER'];
    const { code, stdout, stderr } = await runCli(['agent', 'validate', ...flags]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: .*-logLevel.*\nError: .*-trustDomain.*\n$/);
  });
});

describe('agent run refuses', () => {
  let other: ServerProcess;
  beforeAll(async () => {
    const path = folder.join('other');
    await mkdir(path);
    other = await ServerProcess.start({ folder: path });
  });
  afterAll(() => other[Symbol.asyncDispose]());

  test.each([
    ['no join token', async () => ({ conf: {}, flags: [] }), /join token/],
    ['a join token that nobody made', async () => ({ conf: {}, flags: ['-joinToken', 'x'] }), /token/],
    [
      'a bundle that does not verify the server',
      async () => {
        const bundle = (await other.run(['bundle', 'show'])).stdout;
        return { conf: { bundle }, flags: ['-joinToken', await createJoinToken(server)] };
      },
      /bundle/,
    ],
    [
      'another trust domain',
      async () => ({ conf: { trustDomain: 'other.test' }, flags: ['-joinToken', await createJoinToken(server)] }),
      /other\.test/,
    ],
    [
      'a socket that is in use',
      async () => ({ conf: { socketPath: agent.socketPath }, flags: ['-joinToken', await createJoinToken(server)] }),
      /another process listens on it/,
    ],
  ])('%s: one line, exit code 1, no socket', async (what, prepare, message) => {
    const path = folder.join(what.replaceAll(' ', '-'));
    await mkdir(path);
    const { conf, flags } = await prepare();
    const config = await writeAgentConf({ folder: path, server, ...conf });
    const { code, stdout, stderr } = await runCli(['agent', 'run', '-config', config, ...flags]);
    const errors = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('time='));
    expect({ code, stdout, errors }).toEqual({ code: 1, stdout: '', errors: [expect.stringMatching(message)] });
    expect(existsSync(`${path}/agent.sock`)).toBe(false);
  });
});

describe('server agent, of an agent that attested', () => {
  let id: string;
  beforeAll(async () => {
    const { json } = await server.runJson(['agent', 'list']);
    expect(json.agents).toHaveLength(1);
    id = `spiffe://example.org${json.agents[0].id.path}`;
  });

  test('list and count find it', async () => {
    const { stdout } = await server.run(['agent', 'list']);
    expect(stdout).toMatch(/^Found 1 attested agent:\n\n/);
    expect(stdout).toContain(`SPIFFE ID         : ${id}\nAttestation type  : join_token\nExpiration time   : `);
    expect(stdout).toMatch(/\nSerial number {5}: \d+\nCan re-attest {5}: false\n/);
    expect((await server.run(['agent', 'count', '-attestationType', 'join_token'])).stdout).toBe('1 attested agent\n');
    expect((await server.run(['agent', 'count', '-canReattest', 'true'])).stdout).toBe('0 attested agents\n');
    expect((await server.run(['agent', 'count', '-banned', 'false'])).stdout).toBe('1 attested agent\n');
  });

  test('list filters by the end of the SVID', async () => {
    const counted = (time: string) => server.run(['agent', 'count', '-expiresBefore', time]);
    expect((await counted('2000-01-01 00:00:00 +0000 +00')).stdout).toBe('0 attested agents\n');
    expect((await counted('2100-01-01 00:00:00 +0000 +00')).stdout).toBe('1 attested agent\n');
  });

  test('show prints it', async () => {
    const { code, stdout } = await server.run(['agent', 'show', '-spiffeID', id]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Found an attested agent given its SPIFFE ID\n\nSPIFFE ID         : ${id}\n`);
    const { json } = await server.runJson(['agent', 'show', '-spiffeID', id]);
    expect(json).toMatchObject({ attestation_type: 'join_token', banned: false, x509svid_serial_number: /^\d+$/ });
  });

  test('purge leaves it, for it cannot attest again', async () => {
    expect((await server.run(['agent', 'purge', '-expiredFor', '0s'])).stdout).toBe('No agents to purge.\n');
  });

  test('ban, then evict', async () => {
    expect((await server.run(['agent', 'ban', '-spiffeID', id])).stdout).toBe('Agent banned successfully\n');
    expect((await server.run(['agent', 'list', '-banned', 'true'])).stdout).toContain('Banned            : true\n');
    expect((await server.run(['agent', 'evict', '-spiffeID', id])).stdout).toBe('Agent evicted successfully\n');
    expect((await server.run(['agent', 'list'])).stdout).toBe('No attested agents found\n');
  });

  test('and the agent, of which the server knows nothing more, ends with one line', async () => {
    await agent.program.waitFor('Error: ');
    expect(await agent.program.ended()).toBe(1);
    expect(existsSync(agent.socketPath)).toBe(false);
  });
});
