import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { printText } from '../config/print.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { agentId, type SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { type Swtpm, type SwtpmOptions, startSwtpm } from '../testing/index.ts';
import { STRONG_HASHES } from '../tpm/algorithms.ts';
import { TpmDevice } from '../tpm-device/device.ts';
import { ekHash, loadEndorsementKey } from '../tpm-device/endorsement.ts';

/** A software TPM with configurations for a server that trusts it and an agent that attests with it. */
export interface SimulatedMachine extends AsyncDisposable {
  readonly tpm: Swtpm;
  readonly ekHash: string;
  readonly agentId: SpiffeId;
  /** Paths; everything that either program writes goes into the TPM's folder, too. */
  readonly serverConfig: string;
  readonly agentConfig: string;
  /** For a configuration that there is already. */
  readonly serverPlugin: string;
  readonly agentPlugin: string;
}

/** @throws SpiffeError as {@link startSwtpm}, and `CANCELLED` where the signal comes first */
export async function simulateMachine(
  options: SwtpmOptions,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<SimulatedMachine> {
  const tpm = await startSwtpm(options);
  try {
    requireGoingOn(signal);
    const hash = await readEkHash(tpm.tcti);
    const serverPlugin = plugin({ virtual_ca_path: tpm.caPath, ...serverSettings(tpm, options) });
    const agentPlugin = plugin({ tcti: tpm.tcti, ...(await writeLogs(tpm, options)) });
    const [serverConfig, agentConfig] = [join(tpm.folder, 'server.conf'), join(tpm.folder, 'agent.conf')];
    const port = await findFreePort();
    await mkdir(join(tpm.folder, 'server'), { mode: 0o700 });
    await mkdir(join(tpm.folder, 'agent'), { mode: 0o700 });
    await writeFile(serverConfig, serverFile(tpm.folder, trustDomain, port, serverPlugin));
    await writeFile(agentConfig, agentFile(tpm.folder, trustDomain, port, agentPlugin));
    requireGoingOn(signal);
    return {
      ...{ tpm, ekHash: hash, agentId: agentId(trustDomain, 'tpm', hash) },
      ...{ serverConfig, agentConfig, serverPlugin, agentPlugin },
      [Symbol.asyncDispose]: () => tpm[Symbol.asyncDispose](),
    };
  } catch (error) {
    await tpm[Symbol.asyncDispose]();
    throw error;
  }
}

async function readEkHash(tcti: string): Promise<string> {
  await using device = await TpmDevice.open(tcti);
  const ek = await loadEndorsementKey(device, 'auto');
  await using _key = ek.key;
  return ekHash(ek);
}

function requireGoingOn(signal: AbortSignal): void {
  if (signal.aborted) throw new SpiffeError('CANCELLED', 'the simulation was stopped while it started');
}

type Settings = Readonly<Record<string, string | boolean>>;

/** What the server asks of a machine that has logs, in a bank that it takes. */
function serverSettings({ banks }: Swtpm, { eventLog, imaLog, imaPaddedBanks = [] }: SwtpmOptions): Settings {
  const bank = STRONG_HASHES.find((name) => banks.includes(name)) ?? 'sha256';
  return {
    ...(bank !== 'sha256' && { pcr_bank: bank }),
    ...(eventLog !== undefined && { event_log: true }),
    ...(imaLog !== undefined && { ima_log: true }),
    ...(imaLog !== undefined && imaPaddedBanks.includes(bank) && { ima_padded_sha1: true }),
  };
}

/** The logs for the agent, which else takes those of this kernel: they are of another TPM. */
async function writeLogs(tpm: Swtpm, { eventLog, imaLog }: SwtpmOptions): Promise<Settings> {
  return {
    ...(eventLog && { event_log_path: await tpm.write('binary_bios_measurements', eventLog) }),
    ...(imaLog && { ima_log_path: await tpm.write('binary_runtime_measurements', imaLog) }),
  };
}

function plugin(data: Settings): string {
  const width = Math.max(...Object.keys(data).map((key) => key.length));
  const lines = Object.entries(data).map(
    ([key, value]) => `    ${key.padEnd(width)} = ${typeof value === 'string' ? printText(value) : value}\n`,
  );
  return `NodeAttestor "tpm" {\n  plugin_data {\n${lines.join('')}  }\n}\n`;
}

function serverFile(folder: string, trustDomain: TrustDomain, port: number, attestor: string): string {
  return `server {
  trust_domain = ${printText(trustDomain)}
  bind_address = "127.0.0.1"
  bind_port    = ${port}
  data_dir     = ${printText(join(folder, 'server'))}
  socket_path  = ${printText(join(folder, 'server', 'api.sock'))}
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type     = "sqlite3"
      connection_string = ${printText(join(folder, 'server', 'datastore.sqlite3'))}
    }
  }
  KeyManager "memory" {}
${indent(attestor)}}
`;
}

/** On loopback, and for a throwaway trust domain: the server is believed. */
function agentFile(folder: string, trustDomain: TrustDomain, port: number, attestor: string): string {
  return `agent {
  trust_domain       = ${printText(trustDomain)}
  server_address     = "127.0.0.1"
  server_port        = ${port}
  data_dir           = ${printText(join(folder, 'agent'))}
  socket_path        = ${printText(join(folder, 'agent', 'api.sock'))}
  insecure_bootstrap = true
}
plugins {
  KeyManager "memory" {}
${indent(attestor)}  WorkloadAttestor "unix" {}
}
`;
}

const indent = (block: string) => block.replaceAll(/^(?=.)/gm, '  ');

/** A TCP port of loopback that nobody listens on at this moment. */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new SpiffeError('FAILED_PRECONDITION', 'no port is free');
  return address.port;
}
