import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ASSAYER } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { ProgramProcess, runCli } from './run-cli.ts';

const vector = (name: string) => join(import.meta.dirname, '..', 'vectors', 'tpm', 'shim-grub-secure-boot', name);
const SIMULATE = ['tpm', 'simulate', '-output', 'json'];

interface Simulation {
  readonly device: string;
  readonly caPath: string;
  readonly ekHash: string;
  readonly agentId: string;
  readonly folder: string;
  readonly pid: number;
  readonly serverConfig: string;
  readonly agentConfig: string;
}

/** `assayer tpm simulate` that runs, and what it printed. */
class Simulated implements AsyncDisposable {
  readonly printed: Simulation;
  readonly process: ProgramProcess;

  private constructor(process: ProgramProcess) {
    this.process = process;
    this.printed = JSON.parse(process.text);
  }

  static async start(...args: readonly string[]): Promise<Simulated> {
    const program = new ProgramProcess([...SIMULATE, ...args], 'stdout');
    await program.waitFor('\n');
    return new Simulated(program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

describe('a simulated machine', () => {
  let machine: Simulated;
  beforeAll(async () => {
    const logs = ['-eventLog', vector('binary_bios_measurements'), '-imaLog', vector('ima-binary.bin')];
    machine = await Simulated.start(...logs, '-trustDomain', 'lab.test', '-pcrBanks', 'sha256,sha384');
  });
  afterAll(() => machine[Symbol.asyncDispose]());

  test('has the PCRs of the recorded one, as tpm2_pcrread reads them', async () => {
    const { device } = machine.printed;
    const env = { ...process.env, TPM2TOOLS_TCTI: device };
    const { stdout } = await promisify(execFile)('tpm2_pcrread', ['sha256:0,7,10'], { env });
    const values = [...stdout.matchAll(/: 0x([0-9A-F]+)$/gm)].map(([, value]) => value);
    const wanted = readFileSync(vector('pcrs-after.txt'), 'utf8').matchAll(/^sha256 (?:0|7|10) (\S+)$/gm);
    expect(values).toEqual([...wanted].map(([, value]) => value));
  });

  test('is attested with the configurations that were printed', { timeout: 120_000 }, async () => {
    const { serverConfig, agentConfig, agentId, folder } = machine.printed;
    await using server = new ProgramProcess(['server', 'run', '-config', serverConfig]);
    await server.waitFor('server is ready');
    await using agent = new ProgramProcess(['agent', 'run', '-config', agentConfig]);
    await agent.waitFor('agent is ready');
    const listed = await runCli(['server', 'agent', 'list', '-socketPath', join(folder, 'server', 'api.sock')]);
    expect(listed.stdout).toContain(`: ${agentId}\n`);
    const socket = ['-socketPath', join(folder, 'server', 'api.sock')];
    const shown = await runCli(['server', 'agent', 'show', '-spiffeID', agentId, ...socket]);
    expect(shown.stdout).toMatch(/tpm:secure_boot:enabled/);
    expect(shown.stdout).toMatch(/tpm:ima:policy:tcb/);
  });
});

describe('a simulation', () => {
  test('is one of several at once, and leaves nothing where it is told to stop or killed', {
    timeout: 120_000,
  }, async () => {
    const machines = await Promise.all([Simulated.start(), Simulated.start(), Simulated.start()]);
    expect(new Set(machines.map(({ printed }) => printed.ekHash)).size).toBe(3);
    const ends = (['SIGINT', 'SIGTERM', 'SIGKILL'] as const).map(async (signal, index) => {
      const machine = machines[index];
      machine?.process.signal(signal);
      expect(await machine?.process.ended()).toBe(signal === 'SIGKILL' ? null : 0);
    });
    await Promise.all(ends);
    await eventually(() => {
      for (const { printed } of machines) expectGone(printed);
    });
  });

  test('ends with whoever started it', { timeout: 120_000 }, async () => {
    const [node, command] = [process.execPath, [...SIMULATE].join(' ')];
    const shell = spawn('sh', ['-c', `${node} ${ASSAYER} ${command} & read -r _`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [printed] = await once(createInterface({ input: shell.stdout }), 'line');
    shell.kill('SIGKILL');
    await eventually(() => expectGone(JSON.parse(printed)));
  });

  test('runs a command that finds the TPM, and ends as that does', { timeout: 120_000 }, async () => {
    const script =
      'test "$TPM2TOOLS_TCTI" = "$ASSAYER_TPM_DEVICE" && test -s "$ASSAYER_TPM_CA_PATH" && tpm2_getcap -l && exit 7';
    const { code, stdout, stderr } = await runCli(['tpm', 'simulate', 'sh', '-c', script]);
    expect({ code, stdout }).toEqual({ code: 7, stdout: expect.stringContaining('properties-fixed') });
    expect(stderr).toMatch(/^Device +: swtpm:path=/);
    const [, folder = ''] = /swtpm:path=(\S+)\/tpm/.exec(stderr) ?? [];
    expect(existsSync(folder)).toBe(false);
  });

  test.each([
    [
      'an endorsement key that there is not',
      ['-ek', 'rsa-512'],
      /-ek: "rsa-512" is none of rsa-2048, ec-p256, ec-p384/,
    ],
    ['a bank that there is not', ['-pcrBanks', 'sha256,md5'], /-pcrBanks: "md5" is none of/],
    ['a log that is none', ['-eventLog', vector('SOURCE-missing')], /cannot be read: ENOENT/],
    ['a log of another kind', ['-eventLog', vector('ima-binary.bin')], /check D2[56]/],
    ['an endless log', ['-eventLog', '/dev/zero'], /more than 4194304 bytes/],
    ['a trust domain that is none', ['-trustDomain', 'A B'], /trust domain/],
    ['a command that there is not', ['/nowhere/at-all'], /cannot run "\/nowhere\/at-all": .*ENOENT/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await runCli([...SIMULATE, ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});

function expectGone({ folder, pid }: Simulation): void {
  expect(existsSync(folder)).toBe(false);
  expect(isGone(pid)).toBe(true);
}
