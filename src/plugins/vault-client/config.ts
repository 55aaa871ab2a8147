import { flag, optionalText, SpiffeError, z } from '../../plugin-sdk/index.ts';

/** Environment variables that go before the configuration, as for SPIRE. */
export const VAULT_VARIABLES = [
  'VAULT_ADDR',
  'VAULT_CACERT',
  'VAULT_CLIENT_CERT',
  'VAULT_CLIENT_KEY',
  'VAULT_NAMESPACE',
  'VAULT_TOKEN',
  'VAULT_APPROLE_ID',
  'VAULT_APPROLE_SECRET_ID',
  'VAULT_TRANSIT_ENGINE_PATH',
] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/** How the plugin shows who it is. Paths are those of Vault's API, without `v1/`. */
export type VaultLogin =
  | { readonly method: 'token'; readonly token: string }
  | { readonly method: 'cert'; readonly mountPoint: string; readonly role: string }
  | { readonly method: 'approle'; readonly mountPoint: string; readonly roleId: string; readonly secretId: string }
  | { readonly method: 'kubernetes'; readonly mountPoint: string; readonly role: string; readonly tokenPath: string };

export interface VaultSettings {
  readonly address: URL;
  readonly namespace: string | undefined;
  readonly caCertPath: string | undefined;
  readonly insecureSkipVerify: boolean;
  readonly clientCertPath: string | undefined;
  readonly clientKeyPath: string | undefined;
  readonly login: VaultLogin;
}

const mountPoint = (name: string) =>
  optionalText.transform((text) => requireMountPoint(text ?? name, `the mount point ${JSON.stringify(text)}`));

/** Of every plugin that talks to a Vault. Inventory P032, P053. */
export const vaultFields = {
  vault_addr: optionalText,
  namespace: optionalText,
  ca_cert_path: optionalText,
  insecure_skip_verify: flag,
  token_auth: z.strictObject({ token: optionalText }).optional(),
  cert_auth: z
    .strictObject({
      cert_auth_mount_point: mountPoint('cert'),
      cert_auth_role_name: z.string().default(''),
      client_cert_path: optionalText,
      client_key_path: optionalText,
    })
    .optional(),
  approle_auth: z
    .strictObject({
      approle_auth_mount_point: mountPoint('approle'),
      approle_id: optionalText,
      approle_secret_id: optionalText,
    })
    .optional(),
  k8s_auth: z
    .strictObject({
      k8s_auth_mount_point: mountPoint('kubernetes'),
      k8s_auth_role_name: z.string().min(1, { error: 'must name a role of the Vault' }),
      token_path: z.string().min(1, { error: 'must be the path of a service account token' }),
    })
    .optional(),
};

const vaultSchema = z.strictObject(vaultFields);
type VaultConfig = z.output<typeof vaultSchema>;

/** @throws SpiffeError `CONFIG_INVALID` that says what is missing, and which variable may have it */
export function toVaultSettings(config: VaultConfig, env: Environment): VaultSettings {
  const { address, caCertPath, namespace } = {
    address: env.VAULT_ADDR || config.vault_addr,
    caCertPath: env.VAULT_CACERT || config.ca_cert_path,
    namespace: env.VAULT_NAMESPACE || config.namespace,
  };
  const clientCertPath = config.cert_auth && (env.VAULT_CLIENT_CERT || config.cert_auth.client_cert_path);
  const clientKeyPath = config.cert_auth && (env.VAULT_CLIENT_KEY || config.cert_auth.client_key_path);
  if (config.cert_auth !== undefined) {
    requireText(clientCertPath, 'cert_auth.client_cert_path', 'VAULT_CLIENT_CERT');
    requireText(clientKeyPath, 'cert_auth.client_key_path', 'VAULT_CLIENT_KEY');
  }
  return {
    address: toAddress(requireText(address, 'vault_addr', 'VAULT_ADDR')),
    namespace,
    caCertPath,
    insecureSkipVerify: config.insecure_skip_verify,
    clientCertPath,
    clientKeyPath,
    login: toLogin(config, env),
  };
}

/** A path below `v1/`, without slashes at its ends. @throws SpiffeError `CONFIG_INVALID` */
export function requireMountPoint(text: string, what: string): string {
  const path = text.replace(/^\/+|\/+$/g, '');
  if (/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/.test(path) && !/(?:^|\/)\.\.?(?:\/|$)/.test(path)) return path;
  throw new SpiffeError('CONFIG_INVALID', `${what} is not a path of a Vault, such as "transit" or "team/transit"`);
}

function toLogin(config: VaultConfig, env: Environment): VaultLogin {
  const { token_auth: token, cert_auth: cert, approle_auth: approle, k8s_auth: kubernetes } = config;
  const logins: VaultLogin[] = [];
  if (token) {
    const text = requireText(env.VAULT_TOKEN || token.token, 'token_auth.token', 'VAULT_TOKEN');
    logins.push({ method: 'token', token: text });
  }
  if (cert) logins.push({ method: 'cert', mountPoint: cert.cert_auth_mount_point, role: cert.cert_auth_role_name });
  if (approle) {
    const { approle_id: id, approle_secret_id: secret, approle_auth_mount_point: mount } = approle;
    const roleId = requireText(env.VAULT_APPROLE_ID || id, 'approle_auth.approle_id', 'VAULT_APPROLE_ID');
    const secretId = env.VAULT_APPROLE_SECRET_ID || secret || ''; // a role may be bound by addresses alone
    logins.push({ method: 'approle', mountPoint: mount, roleId, secretId });
  }
  if (kubernetes) {
    const { k8s_auth_mount_point: mount, k8s_auth_role_name: role, token_path: tokenPath } = kubernetes;
    logins.push({ method: 'kubernetes', mountPoint: mount, role, tokenPath });
  }
  const [login] = logins;
  if (login !== undefined && logins.length === 1) return login;
  throw new SpiffeError(
    'CONFIG_INVALID',
    'exactly one of the blocks token_auth, cert_auth, approle_auth and k8s_auth is needed: it may be empty where variables have the rest',
  );
}

function toAddress(text: string): URL {
  const address = URL.canParse(text) ? new URL(text) : undefined;
  if (address !== undefined && /^https?:$/.test(address.protocol) && address.username === '' && address.search === '') {
    return address;
  }
  throw new SpiffeError('CONFIG_INVALID', 'vault_addr has to be a URL such as "https://vault.example.org:8200"');
}

function requireText(text: string | undefined, key: string, variable: string): string {
  if (text !== undefined && text !== '') return text;
  throw new SpiffeError('CONFIG_INVALID', `${key} is missing, and so is the environment variable ${variable}`);
}
