import { findFileState, messageOf, type PluginRuntime, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import { parseCertificates, parsePrivateKey, parseToken } from './credential-text.ts';
import { inClusterContext } from './in-cluster.ts';
import { type Given, type KubeconfigContext, parseKubeconfig } from './kubeconfig.ts';

/** How an API server is reached, and what shows this plugin to it, at one moment. */
export interface ApiAccess {
  readonly server: URL;
  readonly serverName: string | undefined;
  readonly isVerified: boolean;
  /** PEM, whoever may sign the server's certificate; undefined: the authorities that Node knows. */
  readonly authorities: string | undefined;
  /** PEM. */
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
  /** A secret. */
  readonly token: string | undefined;
}

/** Which cluster the configuration means. */
export interface ApiAccessOptions {
  /** Of the setting that names the kubeconfig, such as `clusters.main.kube_config_file`. */
  readonly setting: string;
  /** Undefined: the cluster that this process is a pod of. */
  readonly kubeconfigPath: string | undefined;
}

interface Read {
  readonly access: ApiAccess;
  /** Every file that it is made of. */
  readonly paths: readonly string[];
}

interface Versioned extends Read {
  /** Another once one of the files is another. */
  readonly version: string;
}

/** Access that follows its files: kubeconfigs, tokens and certificates are replaced while the server runs. */
export class ApiAccessFiles {
  readonly #options: ApiAccessOptions;
  readonly #log: PluginRuntime['log'];
  #read: Versioned;
  #reloading: Promise<void> | undefined;
  #lastProblem: string | undefined;

  private constructor(options: ApiAccessOptions, log: PluginRuntime['log'], read: Versioned) {
    this.#options = options;
    this.#log = log;
    this.#read = read;
  }

  /** @throws SpiffeError `CONFIG_INVALID`, naming the setting and the file */
  static async open(options: ApiAccessOptions, log: PluginRuntime['log']): Promise<ApiAccessFiles> {
    const read = await readVersioned(options);
    if (!read.access.isVerified) {
      log.warning('whoever answers at the address of the API server is believed, as its kubeconfig has it', {
        setting: options.setting,
        server: read.access.server.host,
      });
    }
    return new ApiAccessFiles(options, log, read);
  }

  /** That of the moment. What cannot be used is logged, and the last goes on. @returns the same value until a file changes */
  async get(): Promise<ApiAccess> {
    if ((await versionOf(this.#read.paths)) !== this.#read.version) {
      this.#reloading ??= this.#reload().finally(() => {
        this.#reloading = undefined;
      });
      await this.#reloading;
    }
    return this.#read.access;
  }

  async #reload(): Promise<void> {
    try {
      this.#read = await readVersioned(this.#options);
      this.#lastProblem = undefined;
    } catch (error) {
      const reason = messageOf(error);
      if (reason !== this.#lastProblem) {
        this.#log.warning('goes on with the last credentials for an API server', { reason });
      }
      this.#lastProblem = reason;
    }
  }
}

/** Looked at before it is read: a change in between is seen the next time. */
async function readVersioned(options: ApiAccessOptions): Promise<Versioned> {
  const { paths } = await readAccess(options);
  const version = await versionOf(paths);
  return { ...(await readAccess(options)), version };
}

async function readAccess({ setting, kubeconfigPath }: ApiAccessOptions): Promise<Read> {
  const context = await readContext(setting, kubeconfigPath);
  const paths = kubeconfigPath === undefined ? [] : [kubeconfigPath];
  const { authorities, token, client, ...rest } = context;
  const read = async <T>(given: Given | undefined, parse: (where: string, text: string) => T) => {
    if (given === undefined) return undefined;
    if (given.kind === 'text') return parse(`${setting}: ${given.field} in "${kubeconfigPath}"`, given.text);
    paths.push(given.path);
    const text = (await readCapped(`${setting}: ${given.field}`, given.path)).toString('latin1');
    return parse(`${setting}: "${given.path}"`, text);
  };
  const certificates = await read(client?.certificate, parseCertificates);
  const key = await read(client?.key, parsePrivateKey);
  if (certificates !== undefined && key !== undefined && certificates[0]?.checkPrivateKey(key) !== true) {
    throw new SpiffeError('CONFIG_INVALID', `${setting}: the client-key is not that of the client-certificate`);
  }
  const access: ApiAccess = {
    ...rest,
    authorities: (await read(authorities, parseCertificates))?.map(String).join(''),
    token: await read(token, parseToken),
    client: key && {
      certificate: certificates?.map(String).join('') ?? '',
      key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    },
  };
  return { access, paths };
}

async function readContext(setting: string, path: string | undefined): Promise<KubeconfigContext> {
  if (path === undefined) return inClusterContext(setting);
  return parseKubeconfig(`${setting}: "${path}"`, path, (await readCapped(setting, path)).toString('utf8'));
}

async function versionOf(paths: readonly string[]): Promise<string> {
  return (await Promise.all(paths.map(findFileState))).join(', ');
}
