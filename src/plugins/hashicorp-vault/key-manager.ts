import { defineKeyManager, type Plugin, SpiffeError } from '../../plugin-sdk/index.ts';
import { requireMountPoint, toVaultSettings } from '../vault-client/config.ts';
import { VaultSession } from '../vault-client/vault-session.ts';
import { type HashicorpVaultConfig, hashicorpVaultConfig } from './config.ts';
import { findServerIdentifier } from './server-identifier.ts';
import { Transit } from './transit.ts';
import { VaultKeys } from './vault-keys.ts';

interface State extends Disposable {
  readonly keys: VaultKeys;
}

const DEFAULT_PATH = 'transit';

/** Keys in a Vault's transit engine, which signs with them. */
export const hashicorpVault: Plugin = defineKeyManager<HashicorpVaultConfig, State>({
  name: 'hashicorp_vault',
  side: 'server',
  config: hashicorpVaultConfig,
  async configure(config, { log }) {
    const { key_identifier_file: file, key_identifier_value: value, transit_engine_path: path, ...rest } = config;
    const settings = toVaultSettings(rest, process.env);
    const mountPoint = requireMountPoint(
      process.env.VAULT_TRANSIT_ENGINE_PATH || path || DEFAULT_PATH,
      'transit_engine_path',
    );
    const serverId = value ?? (await findServerIdentifier(requireFile(file)));
    using stack = new DisposableStack();
    const vault = stack.use(await VaultSession.open(settings, log));
    const keys = stack.use(await VaultKeys.open({ transit: new Transit(vault, mountPoint), serverId, log }));
    const opened = stack.move();
    return { keys, [Symbol.dispose]: () => opened.dispose() };
  },
  generateKey: (id, type, { keys }) => keys.generate(id, type),
  findKey: async (id, { keys }) => keys.find(id),
  getKeys: async ({ keys }) => keys.list(),
  signData: (id, digest, options, { keys }) => keys.sign(id, digest, options),
});

function requireFile(path: string | undefined): string {
  if (path !== undefined) return path;
  throw new SpiffeError('CONFIG_INVALID', 'key_identifier_file is missing');
}
