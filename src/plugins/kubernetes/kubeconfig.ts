import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { SpiffeError, z } from '../../plugin-sdk/index.ts';

/** Something that stands in the kubeconfig itself, or in a file that it names. */
export type Given =
  | { readonly kind: 'text'; readonly text: string; readonly field: string }
  | { readonly kind: 'file'; readonly path: string; readonly field: string };

/** What the current context of a kubeconfig says: where the API server is, and how to show oneself to it. */
export interface KubeconfigContext {
  readonly server: URL;
  /** The name that the server's certificate must have, where it is not that of the URL. */
  readonly serverName: string | undefined;
  readonly isVerified: boolean;
  /** Undefined: the authorities that Node knows. */
  readonly authorities: Given | undefined;
  readonly token: Given | undefined;
  readonly client: { readonly certificate: Given; readonly key: Given } | undefined;
}

/** An alias may be used so often: a file that grows when it is read is refused. */
const MAX_ALIASES = 100;

/** Empty text counts as not given, as it does for kubectl. */
const text = z
  .string()
  .nullish()
  .transform((value) => (value === '' || value === null ? undefined : value));
const flag = z.boolean().nullish();
const anything = z.unknown().optional();
/** Go writes a list without items as null, or leaves it out. */
const list = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);

const cluster = z.object({
  server: text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': flag,
  'certificate-authority': text,
  'certificate-authority-data': text,
  'proxy-url': text,
});
const user = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  username: text,
  as: text,
  'as-uid': text,
  'as-groups': list(anything),
  exec: anything,
  'auth-provider': anything,
});
const kubeconfig = z.object({
  'current-context': text,
  clusters: list(z.object({ name: z.string(), cluster })),
  users: list(z.object({ name: z.string(), user: user.nullish() })),
  contexts: list(z.object({ name: z.string(), context: z.object({ cluster: text, user: text }) })),
});
type User = z.output<typeof user>;
type Cluster = z.output<typeof cluster>;

/**
 * Reads a kubeconfig, YAML or JSON, as far as its current context leads. Paths in it are relative to its folder.
 *
 * @param where for messages, such as `clusters.main.kube_config_file: "/etc/kube/config"`
 * @throws SpiffeError `CONFIG_INVALID`, which quotes no value that may be a secret
 * @see Kubernetes client configuration API v1: Config
 */
export function parseKubeconfig(where: string, path: string, content: string): KubeconfigContext {
  const refuse = (what: string): never => {
    throw new SpiffeError('CONFIG_INVALID', `${where} ${what}`);
  };
  const { success, data, error } = kubeconfig.safeParse(parseYaml(content, refuse));
  if (!success) {
    const [issue] = error.issues;
    return refuse(`is no kubeconfig: ${issue?.path.map(String).join('.') || 'the whole'}: ${issue?.message}`);
  }
  const name = data['current-context'] ?? refuse('has no current-context: run "kubectl config use-context" on it');
  const context = data.contexts.find((each) => each.name === name)?.context;
  if (context === undefined) return refuse(`has no context ${quote(name)}, which its current-context names`);
  const found = data.clusters.find((each) => each.name === context.cluster)?.cluster;
  if (found === undefined)
    return refuse(`has no cluster ${quote(context.cluster)}, which context ${quote(name)} names`);
  const entry = data.users.find((each) => each.name === context.user);
  if (entry === undefined && context.user !== undefined) {
    return refuse(`has no user ${quote(context.user)}, which context ${quote(name)} names`);
  }
  const from = (field: string, given: string | undefined): Given | undefined =>
    given === undefined ? undefined : { kind: 'file', path: resolve(dirname(path), given), field };
  return { ...ofCluster(found, from, refuse), ...ofUser(entry?.user ?? user.parse({}), from, refuse) };
}

type FileOf = (field: string, path: string | undefined) => Given | undefined;
type Refuse = (what: string) => never;

function ofCluster(given: Cluster, from: FileOf, refuse: Refuse) {
  const { server = refuse('has no server in its cluster'), 'proxy-url': proxy } = given;
  if (proxy !== undefined)
    refuse('has a proxy-url, which is not supported: name an API server that is reached directly');
  const isVerified = given['insecure-skip-tls-verify'] !== true;
  const data = given['certificate-authority-data'];
  const authorities =
    data === undefined
      ? from('certificate-authority', given['certificate-authority'])
      : ofBase64('certificate-authority-data', data, refuse);
  return {
    server: parseServer(server, refuse),
    serverName: given['tls-server-name'],
    isVerified,
    authorities: isVerified ? authorities : undefined,
  };
}

/** A file goes before what stands beside it for tokens, and after it for the rest, as with kubectl. */
function ofUser(given: User, from: FileOf, refuse: Refuse) {
  refuseOtherWays(given, refuse);
  const token = given.token === undefined ? undefined : ({ kind: 'text', text: given.token, field: 'token' } as const);
  const part = (field: 'client-certificate' | 'client-key') => {
    const data = given[`${field}-data`];
    return data === undefined ? from(field, given[field]) : ofBase64(`${field}-data`, data, refuse);
  };
  const [certificate, key] = [part('client-certificate'), part('client-key')];
  if (certificate !== undefined && key === undefined) refuse('has a client-certificate for its user and no client-key');
  if (key !== undefined && certificate === undefined) refuse('has a client-key for its user and no client-certificate');
  return {
    token: from('tokenFile', given.tokenFile) ?? token,
    client: certificate === undefined || key === undefined ? undefined : { certificate, key },
  };
}

function refuseOtherWays(given: User, refuse: Refuse): void {
  if (given.exec !== undefined && given.exec !== null) {
    refuse(
      'has its user log in by a program (exec), and this plugin starts none: give a service account a token ("kubectl create token", or a Secret of its own), or use a client certificate',
    );
  }
  if (given['auth-provider'] !== undefined && given['auth-provider'] !== null) {
    refuse(
      'has its user log in by an auth-provider, which Kubernetes has removed: use a token or a client certificate',
    );
  }
  if (given.username !== undefined) {
    refuse('has a user name and a password, which Kubernetes has removed: use a token or a client certificate');
  }
  if (given.as !== undefined || given['as-uid'] !== undefined || given['as-groups'].length > 0) {
    refuse('has its user act as another (as), which is not supported: name the other in a kubeconfig of its own');
  }
}

function parseServer(server: string, refuse: Refuse): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol === 'https:' && url.username === '' && url.search === '' && url.hash === '') return url;
  return refuse(
    `has ${quote(server.replace(/\/\/[^/]*@/, '//'))} as its server: it must be a URL that starts with https://`,
  );
}

function ofBase64(field: string, text: string, refuse: Refuse): Given {
  const packed = text.replace(/\s/g, '');
  const bytes = Buffer.from(packed, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== packed) refuse(`has something other than base64 in ${field}`);
  return { kind: 'text', text: bytes.toString('latin1'), field };
}

/** The words of the parser may quote secrets. */
function parseYaml(content: string, refuse: Refuse): unknown {
  const document = parseDocument(content, { prettyErrors: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) refuse(`is no YAML, on line ${error.linePos?.[0].line ?? 1}: ${error.code}`);
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    return refuse(`uses aliases of YAML more than ${MAX_ALIASES} times`);
  }
}

function quote(text = ''): string {
  return JSON.stringify(text.slice(0, 200));
}
