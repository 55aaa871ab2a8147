import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** Its keys are its own memory: it needs nothing. */
export const memoryManifest = (): SandboxManifest => ({ user: 'own', network: 'none' });
