import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ForeignDomain } from '../server/authorization/foreign-domain.ts';
import { runCli } from './run-cli.ts';
import { ServerProcess } from './server-process.ts';
import { attestAgent } from './transcript/attest.ts';
import { Normalizer } from './transcript/normalize.ts';
import { SECTIONS, type Step } from './transcript/steps.ts';

// `UPDATE_TRANSCRIPT=1 npx vitest run test/cli/transcript.test.ts` writes the page anew.
const PAGE = fileURLToPath(new URL('../../docs/server/cli-transcript.md', import.meta.url));
const INTRODUCTION = `# A transcript of the command line

Every command of \`assayer server\`, asked of one server one after the other. A test runs them all and compares the answers with this page; ids, times, keys
and certificates are put under names of their own. What is printed to standard error stands with the rest.
`;
const ENTRIES = {
  entries: [
    {
      spiffe_id: 'spiffe://example.org/api',
      parent_id: 'spiffe://example.org/node',
      selectors: [{ type: 'unix', value: 'uid:2000' }],
      jwt_svid_ttl: 60,
    },
  ],
};
const YAML = `entries:
  - spiffe_id: spiffe://example.org/applied
    parent_id: spiffe://example.org/node
    selectors:
      - type: unix
        value: uid:3000
`;

test('every command of the server answers what docs/server/cli-transcript.md has', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await ServerProcess.start({ folder: folder.path });
  await prepare(folder);
  const player = new Player(folder, server);
  const parts = [INTRODUCTION];
  for (const { title, steps } of SECTIONS) {
    parts.push(`## ${title}\n`);
    for (const step of steps) parts.push(await player.play(step));
  }
  const page = `${parts.join('\n')}`;
  if (process.env.UPDATE_TRANSCRIPT !== undefined) await writeFile(PAGE, page);
  expect(page).toBe(await readFile(PAGE, 'utf8'));
}, 600_000);

test('the transcript has every command of the server but the one that runs it', () => {
  const played = SECTIONS.flatMap(({ steps }) => steps).map(({ args }) => args.join(' '));
  const commands = [...COMMANDS.keys()].filter((name) => name.startsWith('server ') && name !== 'server run');
  const isPlayed = (name: string) => played.some((line) => `${line} `.startsWith(`${name} `));
  expect(commands.filter((name) => !isPlayed(name))).toEqual([]);
});

async function prepare(folder: TemporaryFolder): Promise<void> {
  const partner = await ForeignDomain.create('partner.test');
  const [authority] = partner.bundle.x509Authorities;
  await writeFile(folder.join('partner.pem'), encodePem('CERTIFICATE', authority?.certificate ?? new Uint8Array()));
  await writeFile(folder.join('entries.json'), JSON.stringify(ENTRIES));
  await writeFile(folder.join('entries.yaml'), YAML);
  const conf = await readFile(folder.join('server.conf'), 'utf8');
  await writeFile(
    folder.join('wrong.conf'),
    conf.replace('trust_domain', 'trust_domian').replace('"memory"', '"mem ory"'),
  );
}

class Player {
  readonly #folder: TemporaryFolder;
  readonly #server: ServerProcess;
  readonly #normalizer: Normalizer;
  readonly #captured = new Map<string, string>();

  constructor(folder: TemporaryFolder, server: ServerProcess) {
    this.#folder = folder;
    this.#server = server;
    this.#normalizer = new Normalizer(folder.path);
    this.#captured.set('FOLDER', folder.path);
  }

  async play(step: Step): Promise<string> {
    if (step.attest !== undefined) await this.#attest(step.attest);
    const args = step.args.map((arg) => this.#filled(arg));
    const given = Object.entries(step.env ?? {}).map(([name, value]) => [name, this.#filled(value)] as const);
    const env = { SPIRE_SERVER_PRIVATE_SOCKET: this.#server.socketPath, ...Object.fromEntries(given) };
    const { input } = step;
    const result = await runCli(args, { cwd: this.#folder.path, env, ...(input === undefined ? {} : { input }) });
    for (const [name, pattern] of Object.entries(step.capture ?? {})) {
      const value = pattern.exec(result.stdout)?.[1];
      if (value === undefined) throw new Error(`${args.join(' ')}: no ${name} in ${result.stdout}${result.stderr}`);
      this.#captured.set(name, value);
    }
    const typed = given.filter(([, value]) => value !== '').map(([name, value]) => `${name}=${value} `);
    const piped = input === undefined ? '' : `echo '${input}' | `;
    const text = `$ ${piped}${typed.join('')}assayer ${args.map(quoted).join(' ')}\n${result.stdout}${result.stderr}`;
    const code = result.code === 0 ? '' : `\nExit code ${result.code}.\n`;
    const block = `\`\`\`console\n${this.#normalizer.apply(text).trimEnd()}\n\`\`\`\n${code}`;
    return step.says === undefined ? block : `${step.says}\n\n${block}`;
  }

  #filled(text: string): string {
    return text.replace(/\{([A-Z0-9]+)\}/g, (_, name) => this.#captured.get(name) ?? `{${name}}`);
  }

  async #attest(token: string): Promise<void> {
    const { socketPath, port } = this.#server;
    using channel = RpcChannel.unix(socketPath);
    await createClient(AgentDefinition, channel).createJoinToken({ ttl: 600, token, agentId: undefined });
    await attestAgent(socketPath, port, token);
  }
}

function quoted(arg: string): string {
  return /^[\w@%+=:,./{}-]+$/.test(arg) ? arg : `'${arg}'`;
}
