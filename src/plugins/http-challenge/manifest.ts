import { readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** Connects to nodes, and reads nothing. */
export function httpServerManifest(): SandboxManifest {
  return { user: 'own', network: 'all' };
}

/** Listens, on a port of root's too where it is to. */
export function httpAgentManifest(data: string): SandboxManifest {
  const port = Number(readLoosely(data).port ?? 0);
  return { user: 'own', network: 'all', ...(port > 0 && port < 1024 ? { capabilities: ['NET_BIND_SERVICE'] } : {}) };
}
