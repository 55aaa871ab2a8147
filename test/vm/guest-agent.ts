import type { Machine } from './machine.ts';

export interface GuestAgentOptions {
  readonly serverPort: number;
  /** PEM, of the server's trust domain. */
  readonly bundlePem: string;
  /** Lines of the attestor's configuration. */
  readonly attestor?: string;
}

const FOLDER = '/run/assayer';
const ASSAYER = '/opt/assayer/bin/assayer';
/** Four programs start, and each takes ten seconds of an emulated CPU that nobody else uses. */
const START_SECONDS = 500;
const START_MS = (START_SECONDS + 100) * 1000;

/** The agent as an operator starts it, in a machine. */
export class GuestAgent {
  readonly #machine: Machine;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Ends once the agent has attested, or has given up, or takes too long: see {@link hasAttested}. */
  static async start(machine: Machine, options: GuestAgentOptions): Promise<GuestAgent> {
    await machine.run(`mkdir -p ${FOLDER}`);
    await machine.writeFile(`${FOLDER}/bundle.pem`, options.bundlePem);
    await machine.writeFile(`${FOLDER}/agent.conf`, agentConf(options));
    await machine.run(`${ASSAYER} agent run -config ${FOLDER}/agent.conf >${FOLDER}/log 2>&1 & echo $! >${FOLDER}/pid`);
    await machine.run(
      `for second in $(seq ${START_SECONDS}); do
        grep -q 'node attested' ${FOLDER}/log && break
        kill -0 $(cat ${FOLDER}/pid) 2>/dev/null || break
        sleep 1
      done`,
      START_MS,
    );
    return new GuestAgent(machine);
  }

  async log(): Promise<string> {
    return String(await this.#machine.run(`cat ${FOLDER}/log`));
  }

  async hasAttested(): Promise<boolean> {
    return (await this.log()).includes('node attested');
  }

  /** What a workload in the machine gets, or why it gets nothing, as `assayer agent api fetch x509` tells it. */
  async fetchX509(): Promise<string> {
    const socket = `${FOLDER}/public/api.sock`;
    await this.#machine.run(`until [ -S ${socket} ]; do sleep 1; done`); // it comes once the agent knows its entries
    const { output, errors } = await this.#machine.tryRun(`${ASSAYER} agent api fetch x509 -socketPath ${socket}`);
    return `${output}${errors}`;
  }
}

function agentConf({ serverPort, attestor = '' }: GuestAgentOptions): string {
  return `agent {
  trust_domain = "example.org"
  data_dir = "${FOLDER}/data"
  server_address = "10.0.2.2"
  server_port = ${serverPort}
  socket_path = "${FOLDER}/public/api.sock"
  trust_bundle_path = "${FOLDER}/bundle.pem"
}
plugins {
  KeyManager "memory" {}
  NodeAttestor "tpm" { plugin_data { ${attestor} } }
  WorkloadAttestor "unix" {}
}
`;
}
