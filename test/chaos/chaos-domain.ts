import { setTimeout as wait } from 'node:timers/promises';
import { Deployment } from '../e2e/deployment.ts';
import type { Program } from '../e2e/program.ts';
import { type Cut, CutNetwork } from './cut-network.ts';
import { Disturbances } from './disturbances.ts';

export const SIDES = ['server', 'agent'] as const;
export type Side = (typeof SIDES)[number];

/** A plugin that can be killed. */
export interface PluginName {
  readonly side: Side;
  readonly type: string;
  readonly name: string;
}

export const PLUGINS: readonly PluginName[] = [
  { side: 'server', type: 'KeyManager', name: 'disk' },
  { side: 'server', type: 'NodeAttestor', name: 'tpm' },
  { side: 'agent', type: 'KeyManager', name: 'disk' },
  { side: 'agent', type: 'NodeAttestor', name: 'tpm' },
  { side: 'agent', type: 'WorkloadAttestor', name: 'unix' },
  { side: 'agent', type: 'WorkloadAttestor', name: 'lane' },
];

/** Lives that end while one looks on, so that there is always something to renew. */
const SERVER_SETTINGS = `agent_ttl = "40s"
  default_x509_svid_ttl = "20s"
  default_jwt_svid_ttl = "10s"`;

const LANE_ATTESTOR = `WorkloadAttestor "lane" {
    plugin_cmd = "${process.execPath}"
    plugin_args = ["${new URL('./lane-attestor.ts', import.meta.url).pathname}"]
    plugin_data {}
  }`;

const PLUGIN_BACK_MS = 60_000;

/** A server and an agent, each in a network of its own with a cable between, that can be broken and are mended again. */
export class ChaosDomain implements AsyncDisposable {
  readonly deployment: Deployment;
  readonly disturbances = new Disturbances();
  readonly #network: CutNetwork;
  readonly #resources: AsyncDisposableStack;
  readonly #running = new Map<Side, Program>();

  private constructor(deployment: Deployment, network: CutNetwork, resources: AsyncDisposableStack) {
    this.deployment = deployment;
    this.#network = network;
    this.#resources = resources;
  }

  static async start(): Promise<ChaosDomain> {
    await using resources = new AsyncDisposableStack();
    const network = resources.use(await CutNetwork.create());
    const deployment = resources.use(
      await Deployment.create({
        logLevel: 'info',
        serverSettings: SERVER_SETTINGS,
        agentPlugins: LANE_ATTESTOR,
        network,
      }),
    );
    const domain = new ChaosDomain(deployment, network, resources.move());
    try {
      domain.#running.set('server', await deployment.startServer());
      await deployment.entitle();
      domain.#running.set('agent', await deployment.startAgent());
      return domain;
    } catch (error) {
      await domain[Symbol.asyncDispose]();
      throw error;
    }
  }

  program(side: Side): Program {
    const program = this.#running.get(side);
    if (program === undefined) throw new Error(`no ${side} was started`);
    return program;
  }

  /** Ends a program as a power failure does, looks at what it leaves, and starts it again after a while. */
  async killProgram(
    side: Side,
    options: { readonly awayMs: number; readonly whileAway: () => Promise<void>; readonly onLaunch: () => void },
  ): Promise<void> {
    const mended = this.disturbances.begin();
    await this.program(side).kill();
    await options.whileAway();
    await wait(options.awayMs);
    const next = await this.deployment.launch(side);
    options.onLaunch();
    this.#running.set(side, next);
    await next.waitFor(`${side} is ready`);
    mended();
  }

  /** Ends a plugin and waits until its host has another. */
  async killPlugin(plugin: PluginName): Promise<void> {
    const program = this.program(plugin.side);
    const pid = pidOf(program, plugin);
    if (pid === undefined) return;
    const mended = this.disturbances.begin();
    signalIfThere(pid, 'SIGKILL');
    const deadline = Date.now() + PLUGIN_BACK_MS;
    while (pidOf(program, plugin) === pid && !program.hasExited) {
      if (Date.now() > deadline) throw new Error(`no other ${plugin.type} "${plugin.name}" came:\n${program.output}`);
      await wait(20);
    }
    mended();
  }

  /** Stops a program or a plugin for a while, as a machine does that has no time for it. */
  async freeze(what: Side | PluginName, lengthMs: number): Promise<void> {
    const pid = typeof what === 'string' ? this.program(what).pid : pidOf(this.program(what.side), what);
    if (pid === undefined) return;
    const mended = this.disturbances.begin();
    signalIfThere(pid, 'SIGSTOP');
    await wait(lengthMs);
    signalIfThere(pid, 'SIGCONT');
    mended();
  }

  async cutNetwork(kind: Cut, lengthMs: number): Promise<void> {
    const mended = this.disturbances.begin();
    await this.#network.cut(kind);
    await wait(lengthMs);
    await this.#network.restore();
    mended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it ended by itself meanwhile
  }
}

/** The log is long: it is read from its end. */
function pidOf({ lines }: Program, { type, name }: PluginName): number | undefined {
  const line = lines.findLast(
    (text) =>
      text.includes('"plugin loaded"') &&
      text.includes(`"plugin_type":"${type}"`) &&
      text.includes(`"plugin_name":"${name}"`),
  );
  return line === undefined ? undefined : Number(JSON.parse(line).pid);
}
