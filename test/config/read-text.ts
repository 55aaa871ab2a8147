import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentConfig, type ReadAgentConfigOptions, readAgentConfig } from '../../src/config/agent-config.ts';
import { type ReadServerConfigOptions, readServerConfig, type ServerConfig } from '../../src/config/server-config.ts';

/** Reads text as if it were a file of its own. */
export function readServerConfigText(text: string, options: Omit<ReadServerConfigOptions, 'path'> = {}): ServerConfig {
  return withFile(text, (path) => readServerConfig({ ...options, path }));
}

export function readAgentConfigText(text: string, options: Omit<ReadAgentConfigOptions, 'path'> = {}): AgentConfig {
  return withFile(text, (path) => readAgentConfig({ ...options, path }));
}

function withFile<T>(text: string, read: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  try {
    const path = join(folder, 'x.conf');
    writeFileSync(path, text);
    return read(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
