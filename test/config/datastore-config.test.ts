import { expect, test } from 'vitest';
import { datastoreConfig } from '../../src/config/datastore-config.ts';
import { readConfigText } from '../../src/config/read-config.ts';

const read = (text: string) => readConfigText(datastoreConfig, text, { source: 'x', path: 'data' });

test.each([
  ['d.sqlite3', 'd.sqlite3'],
  ['/a/b.sqlite3?_busy_timeout=5000', '/a/b.sqlite3'],
  ['file:/a/b.sqlite3', '/a/b.sqlite3'],
  ['file:///a/b.sqlite3?mode=rwc', '/a/b.sqlite3'],
  ['file:b.sqlite3', 'b.sqlite3'],
])('connection string %s names the file %s', (connectionString, path) => {
  expect(read(`database_type = "sqlite3"\nconnection_string = "${connectionString}"`)).toEqual({
    databaseType: 'sqlite3',
    connectionString,
    path,
    disableMigration: false,
  });
});

test('every key that SPIRE has is read', () => {
  const keys =
    'ro_connection_string = ""\nroot_ca_path = "a"\nclient_cert_path = "b"\nclient_key_path = "c"\nmax_open_conns = 1\nmax_idle_conns = "2"\nconn_max_lifetime = 0\ndisable_migration = true';
  expect(read(`database_type = "sqlite3"\nconnection_string = "d"\n${keys}`).disableMigration).toBe(true);
});

test.each([
  ['database_type = "mysql"', /database_type: mysql is not supported: use "sqlite3"/],
  ['database_type = "postgres"', /database_type: postgres comes later: use "sqlite3"/],
  ['database_type "aws_postgres" { region = "x" }', /database_type: aws_postgres comes later: use "sqlite3"/],
  ['database_type "aws_mysql" { region = "x" }', /database_type: aws_mysql is not supported/],
  ['database_type = "oracle"', /database_type: must be "sqlite3"/],
  ['', /database_type: is required: use "sqlite3"/],
])('%s is refused', (text, message) => {
  expect(() => read(`connection_string = "d"\n${text}`)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});
