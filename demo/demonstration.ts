import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Admin } from './admin.ts';
import { type DemoPaths, demoPaths, TRUST_DOMAIN, writeAgentConfig, writeServerConfig } from './configuration.ts';
import { findFreePort } from './free-port.ts';
import type { Narrator } from './narrator.ts';
import { type LogLine, Program } from './program.ts';
import { proofOf } from './proof-lines.ts';
import { fetchSvids, type WorkloadSvids } from './svids.ts';
import { openDemoTpm } from './tpm.ts';

const assayer = fileURLToPath(new URL('../bin/assayer', import.meta.url));
const READY_DEADLINE_MS = 30_000;

/** What `--json` prints. */
export interface DemoResult extends WorkloadSvids {
  readonly trustDomain: string;
  readonly agentId: string;
  readonly agentSelectors: readonly string[];
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
  /** Since the start, in milliseconds. */
  readonly timingsMs: Readonly<Record<string, number>>;
}

/** The main job, running: a server, an agent that attested with a TPM, a workload that got its SVIDs. */
export class Demonstration implements AsyncDisposable {
  readonly result: DemoResult;
  readonly paths: DemoPaths;
  readonly #resources: AsyncDisposableStack;
  readonly #programs: readonly Program[];

  private constructor(
    result: DemoResult,
    paths: DemoPaths,
    resources: AsyncDisposableStack,
    programs: readonly Program[],
  ) {
    this.result = result;
    this.paths = paths;
    this.#resources = resources;
    this.#programs = programs;
  }

  /** @param signal gives up and stops what was started. */
  static async run(
    folder: string,
    tcti: string | undefined,
    narrator: Narrator,
    signal: AbortSignal,
  ): Promise<Demonstration> {
    await using resources = new AsyncDisposableStack();
    const started = performance.now();
    const timingsMs: Record<string, number> = {};
    const mark = (name: string) => {
      signal.throwIfAborted();
      timingsMs[name] = Math.round(performance.now() - started);
    };
    const processes: { name: string; pid: number }[] = [];
    const told = new Set<string>();
    const watch = (owner: string) => (line: LogLine) => {
      const proof = proofOf(line);
      if (proof !== undefined && !told.has(proof[0])) narrator.step(...proof);
      if (proof !== undefined) told.add(proof[0]); // a workload is attested with every call
      if (line.msg === 'plugin loaded' && typeof line.pid === 'number') {
        processes.push({ name: `${owner} ${line.plugin_type} ${line.plugin_name}`, pid: line.pid });
      }
    };
    const launch = async (name: 'server' | 'agent', config: string, ready: string) => {
      const program = resources.use(await Program.start(name, assayer, [name, 'run', '-config', config], watch(name)));
      processes.push({ name, pid: program.pid });
      const line = await program.waitFor(({ msg }) => msg === ready, READY_DEADLINE_MS);
      mark(`${name}Ready`);
      return { program, line };
    };

    const paths = demoPaths(folder);
    narrator.heading('A TPM');
    const tpm = resources.use(await openDemoTpm(tcti, folder));
    if (tpm.pid !== undefined) processes.push({ name: 'swtpm', pid: tpm.pid });
    narrator.step(tpm.description);
    mark('tpmReady');

    narrator.heading('A server');
    await writeServerConfig(paths, tpm, await findFreePort());
    const server = await launch('server', paths.serverConfig, 'server is ready');
    narrator.step(`the server is process ${server.program.pid}`, `trust domain ${TRUST_DOMAIN}`);
    using admin = new Admin(paths.serverSocket);
    const workloadSelector = { type: 'unix', value: `uid:${process.getuid?.() ?? 0}` };
    const entitled = await admin.entitle({ type: 'tpm', value: tpm.selector }, workloadSelector);
    narrator.step(
      `entry created: ${entitled}`,
      `on nodes with tpm:${tpm.selector}, for unix:${workloadSelector.value}`,
    );

    narrator.heading('An agent, and what its TPM proves');
    await writeFile(paths.bundle, await admin.bundlePem());
    await writeAgentConfig(paths, tpm, Number(server.line.port));
    const agent = await launch('agent', paths.agentConfig, 'agent is ready');
    narrator.step(`the agent is process ${agent.program.pid}`);
    const attested = await admin.findAgent();

    narrator.heading('A workload');
    const svids = await fetchSvids(paths.agentSocket, 'spiffe://example.org/audience', join(folder, 'svids'));
    mark('workloadSvids');
    narrator.step(`X.509-SVID ${svids.x509Svid.spiffeId}`, `until ${svids.x509Svid.expiresAt}`);
    narrator.step(`JWT-SVID ${svids.jwtSvid.spiffeId}`, `until ${svids.jwtSvid.expiresAt}`);
    const result = { trustDomain: TRUST_DOMAIN, ...attested, ...svids, processes, timingsMs };
    return new Demonstration(result, paths, resources.move(), [server.program, agent.program]);
  }

  /** Settles, with an error, when a program ends by itself. */
  async failed(): Promise<never> {
    return Promise.race(this.#programs.map((program) => program.failed()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
