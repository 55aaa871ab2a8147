import { userInfo } from 'node:os';

/** How far a server of PostgreSQL is believed, with libpq's names. */
export type PostgresTlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** A connection string, taken apart. */
export interface PostgresConnection {
  /** A name or address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Absent: `PGPASSWORD`, or none. Never to be logged. */
  readonly password: string | undefined;
  /** Absent: what the files and the host ask for. */
  readonly tlsMode: PostgresTlsMode | undefined;
  readonly rootCaPath: string | undefined;
  readonly clientCertPath: string | undefined;
  readonly clientKeyPath: string | undefined;
  readonly connectTimeoutSeconds: number | undefined;
  /** Settings of each session, such as `search_path`. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Either the connection, or what is wrong with the text; a message never has a value of it. */
export type PostgresConnectionResult = { readonly connection: PostgresConnection } | { readonly problem: string };

const TLS_MODES: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full'];
const SESSION_SETTINGS: readonly string[] = ['search_path', 'application_name', 'statement_timeout'];
const KEYS: readonly string[] = [
  ...['host', 'port', 'dbname', 'user', 'password', 'connect_timeout'],
  ...['sslmode', 'sslrootcert', 'sslcert', 'sslkey'],
  ...SESSION_SETTINGS,
];
const DEFAULT_PORT = 5432;

/** Reads both forms of libpq: `postgres://user:password@host:5432/name?sslmode=…` and `host=… user=… dbname=…`. */
export function readPostgresConnection(text: string): PostgresConnectionResult {
  const isUrl = /^postgres(ql)?:\/\//.test(text);
  const values = isUrl ? valuesOfUrl(text) : valuesOfPairs(text);
  return typeof values === 'string' ? { problem: values } : connectionOf(values);
}

function valuesOfUrl(text: string): ReadonlyMap<string, string> | string {
  if (!URL.canParse(text)) {
    return 'is not a URL such as "postgres://user:password@host:5432/name": write special characters as %40 and the like';
  }
  const url = new URL(text);
  const values = new Map<string, string>();
  try {
    if (url.hostname !== '') values.set('host', decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')));
    if (url.port !== '') values.set('port', url.port);
    if (url.username !== '') values.set('user', decodeURIComponent(url.username));
    if (url.password !== '') values.set('password', decodeURIComponent(url.password));
    if (url.pathname.length > 1) values.set('dbname', decodeURIComponent(url.pathname.slice(1)));
  } catch {
    return 'has a "%" that two hexadecimal digits have to follow: write "%" itself as %25';
  }
  for (const [key, value] of url.searchParams) values.set(key, value);
  return values;
}

/** Source: PostgreSQL documentation §34.1.1.1. */
const PAIR = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/suy;

function valuesOfPairs(text: string): ReadonlyMap<string, string> | string {
  const values = new Map<string, string>();
  for (let at = 0; at < text.trimEnd().length; at = PAIR.lastIndex) {
    PAIR.lastIndex = at;
    const [, key, quoted, plain] = PAIR.exec(text) ?? [];
    if (key === undefined) {
      return `must be a URL or pairs such as "host=db.test user=assayer dbname=assayer", what follows character ${at} is no pair: put a value with blanks in single quotes`;
    }
    values.set(key, (quoted ?? plain ?? '').replaceAll(/\\(.)/gsu, '$1'));
  }
  return values;
}

function connectionOf(values: ReadonlyMap<string, string>): PostgresConnectionResult {
  const unknown = [...values.keys()].find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    return { problem: `has "${unknown}", which is not known here: ${KEYS.map((key) => `"${key}"`).join(', ')} are` };
  }
  const text = (key: string) => values.get(key) || undefined;
  const host = text('host');
  if (host === undefined) return { problem: 'names no host: add host=…, a name, an address or the folder of a socket' };
  if (host.includes(',')) {
    return { problem: 'names several hosts: name one, such as that of a proxy or a DNS name that follows the primary' };
  }
  const port = Number(text('port') ?? DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 1 || port > 65535) return { problem: 'has a port that is not 1 to 65535' };
  const tlsMode = text('sslmode');
  if (tlsMode !== undefined && !isTlsMode(tlsMode)) {
    return { problem: 'has an sslmode that is not "disable", "require", "verify-ca" or "verify-full"' };
  }
  const timeout = Number(text('connect_timeout') ?? 0);
  if (!Number.isInteger(timeout) || timeout < 0)
    return { problem: 'has a connect_timeout that is no number of seconds' };
  const user = text('user') ?? process.env.PGUSER ?? userInfo().username;
  return {
    connection: {
      host,
      port,
      user,
      database: text('dbname') ?? user,
      password: text('password'),
      tlsMode,
      rootCaPath: text('sslrootcert'),
      clientCertPath: text('sslcert'),
      clientKeyPath: text('sslkey'),
      connectTimeoutSeconds: timeout === 0 ? undefined : timeout,
      settings: Object.fromEntries([...values].filter(([key]) => SESSION_SETTINGS.includes(key))),
    },
  };
}

function isTlsMode(text: string): text is PostgresTlsMode {
  return TLS_MODES.includes(text);
}
