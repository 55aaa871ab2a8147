import { z } from 'zod';
import { duration, flag, optionalText, requiredText, wholeNumber } from './fields.ts';
import { type PostgresConnection, readPostgresConnection } from './postgres-connection.ts';

/** `DataStore "sql" { plugin_data { … } }`. */
export type DatastoreConfig = SqliteConfig | PostgresConfig;

export interface SqliteConfig {
  readonly databaseType: 'sqlite3';
  /** As in the file. */
  readonly connectionString: string;
  /** The file that the connection string names. */
  readonly path: string;
  readonly disableMigration: boolean;
}

export interface PostgresConfig {
  readonly databaseType: 'postgres';
  readonly connection: PostgresConnection;
  readonly maxOpenConnections: number;
  /** Of those, how many stay open without work. */
  readonly maxIdleConnections: number;
  /** 0: as long as they last. */
  readonly connectionLifetimeSeconds: number;
  readonly disableMigration: boolean;
}

/** Of each server; PostgreSQL itself allows 100 unless it is told otherwise. */
const DEFAULT_MAX_OPEN_CONNECTIONS = 20;

type DatabaseType = DatastoreConfig['databaseType'];

const REFUSED: Readonly<Record<string, string>> = {
  aws_postgres:
    'aws_postgres is not supported: use "postgres", with a user and a password that the database itself knows',
  mysql: 'mysql is not supported: use "postgres" or "sqlite3"',
  aws_mysql: 'aws_mysql is not supported: use "postgres" or "sqlite3"',
};

/** A name, or a block such as `database_type "postgres" { … }`, seen as an object of one key. */
const databaseType = z.unknown().transform((value, ctx): DatabaseType => {
  const [name, inside] = typeof value === 'object' && value !== null ? (Object.entries(value)[0] ?? []) : [value];
  if (name === 'sqlite3' || name === 'postgres') {
    if (!hasContent(inside)) return name;
    ctx.addIssue(`"${name}" takes no settings in its block: put them beside database_type`);
    return z.NEVER;
  }
  const refusal = typeof name === 'string' && Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  ctx.addIssue(
    value === undefined ? 'is required: use "sqlite3" or "postgres"' : (refusal ?? 'must be "sqlite3" or "postgres"'),
  );
  return z.NEVER;
});

function hasContent(block: unknown): boolean {
  if (Array.isArray(block)) return block.some(hasContent);
  return typeof block === 'object' && block !== null && Object.keys(block).length > 0;
}

const NO_REPLICA =
  'is not used here, remove it: entries are served from memory, and every other read has to see the last write';

export const datastoreConfig = z
  .strictObject({
    database_type: databaseType,
    connection_string: requiredText,
    ro_connection_string: optionalText.refine((text) => text === undefined, { error: NO_REPLICA }),
    root_ca_path: optionalText,
    client_cert_path: optionalText,
    client_key_path: optionalText,
    max_open_conns: wholeNumber.optional(),
    max_idle_conns: wholeNumber.optional(),
    conn_max_lifetime: z.preprocess((value) => (value === '' ? undefined : value), duration.optional()),
    disable_migration: flag,
  })
  .transform((raw, ctx): DatastoreConfig => {
    if (raw.database_type === 'sqlite3') {
      return {
        databaseType: raw.database_type,
        connectionString: raw.connection_string,
        path: pathOfConnectionString(raw.connection_string),
        disableMigration: raw.disable_migration,
      };
    }
    const read = readPostgresConnection(raw.connection_string);
    if ('problem' in read) {
      ctx.addIssue({ code: 'custom', path: ['connection_string'], message: read.problem });
      return z.NEVER;
    }
    const connection = {
      ...read.connection,
      rootCaPath: raw.root_ca_path ?? read.connection.rootCaPath,
      clientCertPath: raw.client_cert_path ?? read.connection.clientCertPath,
      clientKeyPath: raw.client_key_path ?? read.connection.clientKeyPath,
    };
    const contradiction = contradictionIn(connection);
    if (contradiction !== undefined) {
      ctx.addIssue({ code: 'custom', ...contradiction });
      return z.NEVER;
    }
    const maxOpenConnections = raw.max_open_conns || DEFAULT_MAX_OPEN_CONNECTIONS;
    return {
      databaseType: raw.database_type,
      connection,
      maxOpenConnections,
      maxIdleConnections: Math.min(raw.max_idle_conns ?? maxOpenConnections, maxOpenConnections),
      connectionLifetimeSeconds: raw.conn_max_lifetime ?? 0,
      disableMigration: raw.disable_migration,
    };
  });

function contradictionIn(connection: PostgresConnection): { path: string[]; message: string } | undefined {
  const { tlsMode, rootCaPath, clientCertPath, clientKeyPath } = connection;
  if ((clientCertPath === undefined) !== (clientKeyPath === undefined)) {
    const path = clientCertPath === undefined ? 'client_cert_path' : 'client_key_path';
    return { path: [path], message: 'is required: a certificate and its key go together' };
  }
  const hasFiles = rootCaPath !== undefined || clientCertPath !== undefined;
  if (tlsMode === 'disable' && hasFiles) {
    return { path: ['connection_string'], message: 'has sslmode "disable", and certificates are given: remove one' };
  }
  return undefined;
}

/** `file:/a/b.sqlite3?mode=rwc` → `/a/b.sqlite3`; a plain path may have options after `?` too. */
function pathOfConnectionString(text: string): string {
  const [path = ''] = text.replace(/^file:(\/\/(?=\/))?/, '').split('?');
  return path;
}
