import { defineUpstreamAuthority, type Plugin } from '../../plugin-sdk/index.ts';
import { toVaultSettings } from '../vault-client/config.ts';
import { VaultSession } from '../vault-client/vault-session.ts';
import { type UpstreamVaultConfig, upstreamVaultConfig } from './config.ts';
import { signIntermediate } from './sign-intermediate.ts';

interface State extends Disposable {
  readonly vault: VaultSession;
  readonly mountPoint: string;
}

/** A Vault's PKI engine above the server's CA. It has no bundle to follow and takes no JWT keys. */
export const upstreamVault: Plugin = defineUpstreamAuthority<UpstreamVaultConfig, State>({
  name: 'vault',
  config: upstreamVaultConfig,
  async configure({ pki_mount_point: mountPoint, ...config }, { log }) {
    const vault = await VaultSession.open(toVaultSettings(config, process.env), log);
    return { vault, mountPoint, [Symbol.dispose]: () => vault[Symbol.dispose]() };
  },
  async *mintX509Ca(request, { vault, mountPoint }, { trustDomain, signal }) {
    yield await signIntermediate(request, { vault, mountPoint, trustDomain }, signal);
  },
});
