import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, type ClientConfig, types } from 'pg';
import type { PostgresConnection, PostgresTlsMode } from '../../config/postgres-connection.ts';
import { SpiffeError } from '../../spiffe/error.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const BIGINT: number = types.builtins.INT8;
const BYTES: number = types.builtins.BYTEA;

/** A class of connections; each reads its certificates anew, so that they can be replaced at any time. */
export function clientsTo(connection: PostgresConnection): new () => Client {
  return class extends Client {
    constructor() {
      super(clientConfig(connection));
    }
  };
}

function clientConfig(connection: PostgresConnection): ClientConfig {
  const { host, port, database, user, password, connectTimeoutSeconds } = connection;
  return {
    host,
    port,
    database,
    user,
    ...(password === undefined ? {} : { password }),
    ssl: tlsOptions(connection),
    connectionTimeoutMillis: connectTimeoutSeconds === undefined ? CONNECT_TIMEOUT_MS : connectTimeoutSeconds * 1000,
    keepAlive: true,
    fallback_application_name: 'assayer',
    types: { getTypeParser },
  };
}

/** As libpq has it, but that a CA or a name that was given is checked also where only `require` was asked for. */
function tlsOptions(connection: PostgresConnection): ConnectionOptions | false {
  const { host, rootCaPath, clientCertPath, clientKeyPath } = connection;
  const mode = connection.tlsMode ?? defaultTlsMode(connection);
  if (mode === 'disable') return false;
  const verifies = mode === 'verify-ca' || mode === 'verify-full' || rootCaPath !== undefined;
  return {
    rejectUnauthorized: verifies,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(rootCaPath === undefined ? {} : { ca: read(rootCaPath, 'root_ca_path') }),
    ...(clientCertPath === undefined ? {} : { cert: read(clientCertPath, 'client_cert_path') }),
    ...(clientKeyPath === undefined ? {} : { key: read(clientKeyPath, 'client_key_path') }),
  };
}

/** A socket of this machine is private already; over TCP a password never goes in the clear unless that is asked for. */
function defaultTlsMode({ host, rootCaPath }: PostgresConnection): PostgresTlsMode {
  if (host.startsWith('/')) return 'disable';
  return rootCaPath === undefined ? 'require' : 'verify-full';
}

function read(path: string, key: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', `${key} of the datastore, "${path}", cannot be read: correct it`, { cause });
  }
}

/** Counts, times and sequences are numbers; one that a number cannot hold is an error, never another number. */
const getTypeParser: typeof types.getTypeParser = (oid: number, format?: unknown) => {
  if (oid === BIGINT && format !== 'binary') return parseBigint;
  if (oid === BYTES && format !== 'binary') return parseBytes;
  return types.getTypeParser(oid, format as 'text');
};

function parseBigint(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new SpiffeError('INTERNAL', 'datastore has a number beyond 2^53 where a time or a count belongs');
}

/** Hexadecimal behind `\x`. */
function parseBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}
