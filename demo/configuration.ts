import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoTpm } from './tpm.ts';

export const TRUST_DOMAIN = 'example.org';

/** Where everything of one demonstration lives. */
export interface DemoPaths {
  readonly folder: string;
  readonly serverConfig: string;
  readonly serverSocket: string;
  readonly agentConfig: string;
  readonly agentSocket: string;
  readonly bundle: string;
}

export function demoPaths(folder: string): DemoPaths {
  const path = (name: string) => join(folder, name);
  return {
    folder,
    serverConfig: path('server.conf'),
    serverSocket: path('server.sock'),
    agentConfig: path('agent.conf'),
    agentSocket: path('agent.sock'),
    bundle: path('bootstrap.pem'),
  };
}

export async function writeServerConfig(
  { folder, serverConfig, serverSocket }: DemoPaths,
  { trust }: DemoTpm,
  port: number,
): Promise<void> {
  await writeFile(
    serverConfig,
    `server {
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${folder}/server"
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${serverSocket}"
  log_format = "json"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${folder}/server/datastore.sqlite3"
    }
  }
  KeyManager "disk" {
    plugin_data { keys_path = "${folder}/server/keys.json" }
  }
  NodeAttestor "tpm" {
    plugin_data { ${trust} }
  }
}
`,
  );
}

export async function writeAgentConfig(
  { folder, agentConfig, agentSocket, bundle }: DemoPaths,
  { tcti }: DemoTpm,
  serverPort: number,
): Promise<void> {
  await writeFile(
    agentConfig,
    `agent {
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${folder}/agent"
  server_address = "127.0.0.1"
  server_port = ${serverPort}
  socket_path = "${agentSocket}"
  trust_bundle_path = "${bundle}"
  log_format = "json"
  log_level = "debug"
  log_selectors = ["unix"]
}
plugins {
  KeyManager "disk" {
    plugin_data { directory = "${folder}/agent" }
  }
  NodeAttestor "tpm" {
    plugin_data { tcti = "${tcti}" }
  }
  WorkloadAttestor "unix" {
    plugin_data { discover_workload_path = true }
  }
}
`,
  );
}
