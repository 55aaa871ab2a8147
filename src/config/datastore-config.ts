import { z } from 'zod';
import { flag, optionalText, requiredText, wholeNumber } from './fields.ts';

/** `DataStore "sql" { plugin_data { … } }`. */
export interface DatastoreConfig {
  readonly databaseType: 'sqlite3';
  /** As in the file. */
  readonly connectionString: string;
  /** The file that the connection string names. */
  readonly path: string;
  readonly disableMigration: boolean;
}

const REFUSED: Readonly<Record<string, string>> = {
  postgres: 'postgres comes later: use "sqlite3"',
  aws_postgres: 'aws_postgres comes later: use "sqlite3"',
  mysql: 'mysql is not supported: use "sqlite3"',
  aws_mysql: 'aws_mysql is not supported: use "sqlite3"',
};

/** `"sqlite3"`, or a block such as `database_type "aws_postgres" { … }`, seen as an object of one key. */
const databaseType = z.unknown().transform((value, ctx): 'sqlite3' => {
  if (value === 'sqlite3') return value;
  const name = typeof value === 'object' && value !== null ? Object.keys(value)[0] : value;
  const refusal = typeof name === 'string' && Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  ctx.addIssue(value === undefined ? 'is required: use "sqlite3"' : (refusal ?? 'must be "sqlite3"'));
  return z.NEVER;
});

export const datastoreConfig = z
  .strictObject({
    database_type: databaseType,
    connection_string: requiredText,
    ro_connection_string: optionalText,
    root_ca_path: optionalText,
    client_cert_path: optionalText,
    client_key_path: optionalText,
    max_open_conns: wholeNumber.optional(),
    max_idle_conns: wholeNumber.optional(),
    conn_max_lifetime: optionalText,
    disable_migration: flag,
  })
  .transform(
    (raw): DatastoreConfig => ({
      databaseType: raw.database_type,
      connectionString: raw.connection_string,
      path: pathOfConnectionString(raw.connection_string),
      disableMigration: raw.disable_migration,
    }),
  );

/** `file:/a/b.sqlite3?mode=rwc` → `/a/b.sqlite3`; a plain path may have options after `?` too. */
function pathOfConnectionString(text: string): string {
  const [path = ''] = text.replace(/^file:(\/\/(?=\/))?/, '').split('?');
  return path;
}
