import type { SandboxManifest } from '../../config/sandbox-config.ts';

/** It computes, and needs nothing. */
export const uniqueIdManifest = (): SandboxManifest => ({ user: 'own', network: 'none' });
