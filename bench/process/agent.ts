import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { Program } from './program.ts';
import { type BenchServer, TRUST_DOMAIN } from './server.ts';

export interface BenchAgentOptions {
  /** For configuration, data and socket. */
  readonly folder: string;
  readonly dist: string;
  readonly server: BenchServer;
  /** How it attests: a token, or a TPM's TCTI string. */
  readonly evidence: { readonly joinToken: string } | { readonly tcti: string };
}

/** An agent with its keys on disk, to whom this process is a workload. */
export class BenchAgent implements AsyncDisposable {
  readonly workloadSocket: string;
  readonly #run: () => Program;
  #program: Program;

  private constructor(run: () => Program, workloadSocket: string) {
    this.#run = run;
    this.#program = run();
    this.workloadSocket = workloadSocket;
  }

  get program(): Program {
    return this.#program;
  }

  /** Takes the bundle from the admin socket, as an operator would, and starts the agent; whether it answers, others wait for. */
  static async start(options: BenchAgentOptions): Promise<BenchAgent> {
    const { folder, dist, server } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { x509Authorities } = await server.admin(BundleDefinition).getBundle({ outputMask: undefined });
    await writeFile(bundlePath(folder), x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join(''));
    const path = join(folder, 'agent.conf');
    const workloadSocket = join(folder, 'public', 'api.sock');
    await writeFile(path, agentConf(options, workloadSocket));
    const run = () => Program.start({ name: 'agent', dist, args: ['agent', 'run', '-config', path] });
    return new BenchAgent(run, workloadSocket);
  }

  /** Ends it and starts it again, with what it has on disk. */
  async restart(): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    this.#program = this.#run();
  }

  /** Resolves once a workload of this user has an X.509-SVID. */
  async waitForSvid(): Promise<void> {
    await this.program.waitForSocket(this.workloadSocket);
    using channel = RpcChannel.unix(this.workloadSocket);
    const api = createClient(SpiffeWorkloadAPIDefinition, channel);
    await this.program.waitFor('give this process an X.509-SVID', async () => {
      try {
        await using call = api.fetchX509SVID({}, { metadata: { 'workload.spiffe.io': 'true' } });
        return ((await call.receive())?.svids.length ?? 0) > 0;
      } catch {
        return false; // it has none yet
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

const bundlePath = (folder: string) => join(folder, 'bundle.pem');

function agentConf({ folder, server, evidence }: BenchAgentOptions, workloadSocket: string): string {
  const data = join(folder, 'data');
  const [setting, attestor] =
    'tcti' in evidence
      ? ['', `NodeAttestor "tpm" { plugin_data { tcti = "${evidence.tcti}" } }`]
      : [`join_token = "${evidence.joinToken}"`, 'NodeAttestor "join_token" {}'];
  return `agent {
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${data}"
  server_address = "127.0.0.1"
  server_port = ${server.port}
  socket_path = "${workloadSocket}"
  trust_bundle_path = "${bundlePath(folder)}"
  log_level = "WARN"
  ${setting}
}
plugins {
  ${attestor}
  KeyManager "disk" { plugin_data { directory = "${data}" } }
  WorkloadAttestor "unix" {}
}
`;
}
