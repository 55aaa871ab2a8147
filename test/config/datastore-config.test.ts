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
  ['database_type = "mysql"', /database_type: mysql is not supported: use "postgres" or "sqlite3"/],
  ['database_type = "aws_postgres"', /database_type: aws_postgres is not supported: use "postgres", with a user/],
  ['database_type "aws_postgres" { region = "x" }', /database_type: aws_postgres is not supported: use "postgres"/],
  ['database_type "postgres" { region = "x" }', /database_type: "postgres" takes no settings in its block/],
  ['database_type "aws_mysql" { region = "x" }', /database_type: aws_mysql is not supported/],
  ['database_type = "oracle"', /database_type: must be "sqlite3"/],
  ['', /database_type: is required: use "sqlite3" or "postgres"/],
  ['database_type = "sqlite3"\nro_connection_string = "x"', /ro_connection_string: is not used here, remove it/],
])('%s is refused', (text, message) => {
  expect(() => read(`connection_string = "d"\n${text}`)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

const POSTGRES = {
  host: 'db.test',
  port: 5432,
  database: 'spire',
  user: 'assayer',
  password: undefined,
  tlsMode: undefined,
  rootCaPath: undefined,
  clientCertPath: undefined,
  clientKeyPath: undefined,
  connectTimeoutSeconds: undefined,
  settings: {},
};

test.each([
  ['postgres://assayer@db.test/spire', {}],
  ['postgresql://assayer:p%40ss%20word@db.test:6432/spire', { port: 6432, password: 'p@ss word' }],
  [
    'postgres://assayer@db.test/spire?sslmode=verify-full&sslrootcert=/ca.pem',
    { tlsMode: 'verify-full', rootCaPath: '/ca.pem' },
  ],
  ['postgres:///spire?host=/run/postgresql&user=assayer', { host: '/run/postgresql' }],
  ['postgres://assayer@[::1]/spire', { host: '::1' }],
  ['host=db.test user=assayer dbname=spire', {}],
  [' host = db.test  user = assayer\n dbname = spire port=6432 ', { port: 6432 }],
  ["host=db.test user=assayer dbname=spire password='p w\\'s\\\\'", { password: "p w's\\" }],
  ['host=db.test user=assayer dbname=spire password=p\\ w=x', { password: 'p w=x' }],
  ["host=db.test user=assayer dbname=spire password=''", {}],
  ['host=db.test user=assayer dbname=spire connect_timeout=3', { connectTimeoutSeconds: 3 }],
  ['host=db.test user=assayer dbname=spire search_path=a,b', { settings: { search_path: 'a,b' } }],
  [
    'host=db.test user=assayer dbname=spire sslmode=verify-ca sslrootcert=a sslcert=b sslkey=c',
    { tlsMode: 'verify-ca', rootCaPath: 'a', clientCertPath: 'b', clientKeyPath: 'c' },
  ],
])('connection string %s of postgres', (connectionString, expected) => {
  const text = `database_type = "postgres"\nconnection_string = ${JSON.stringify(connectionString)}`;
  expect(read(text)).toEqual({
    databaseType: 'postgres',
    connection: { ...POSTGRES, ...expected },
    maxOpenConnections: 20,
    maxIdleConnections: 20,
    connectionLifetimeSeconds: 0,
    disableMigration: false,
  });
});

test('keys beside the connection string', () => {
  const text = `database_type "postgres" {}\nconnection_string = "postgres://assayer@db.test/spire?sslrootcert=/old"
    root_ca_path = "/ca"\nclient_cert_path = "/cert"\nclient_key_path = "/key"
    max_open_conns = 7\nmax_idle_conns = 3\nconn_max_lifetime = "5m"\ndisable_migration = true`;
  expect(read(text)).toEqual({
    databaseType: 'postgres',
    connection: { ...POSTGRES, rootCaPath: '/ca', clientCertPath: '/cert', clientKeyPath: '/key' },
    maxOpenConnections: 7,
    maxIdleConnections: 3,
    connectionLifetimeSeconds: 300,
    disableMigration: true,
  });
});

const SECRET = 'hunter2-secret';
test.each([
  [`postgres://assayer:${SECRET}%zz@db.test/spire`, /connection_string: has a "%" that two hexadecimal digits/],
  [`postgres://assayer:${SECRET}@db.test:port/spire`, /connection_string: is not a URL such as/],
  [`postgres://assayer:${SECRET}@db.test:70000/spire`, /connection_string: is not a URL such as/],
  [`host=db.test password=${SECRET} port=0`, /connection_string: has a port that is not 1 to 65535/],
  [`host=db.test password='${SECRET}`, /connection_string: must be a URL or pairs .* character 12 /],
  [`${SECRET}`, /connection_string: must be a URL or pairs/],
  [`user=x password=${SECRET}`, /connection_string: names no host/],
  [`host=a,b password=${SECRET}`, /connection_string: names several hosts: name one/],
  [`host=a password=${SECRET} sslmode=prefer`, /connection_string: has an sslmode that is not "disable", "require"/],
  [`host=a password=${SECRET} krbsrvname=x`, /connection_string: has "krbsrvname", which is not known here/],
  [`host=a password=${SECRET} sslcert=x`, /client_key_path: is required: a certificate and its key go together/],
  [`host=a password=${SECRET} sslmode=disable sslrootcert=x`, /has sslmode "disable", and certificates are given/],
])('connection string %s is refused, without the password', (connectionString, message) => {
  const text = `database_type = "postgres"\nconnection_string = ${JSON.stringify(connectionString)}`;
  expect(() => read(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
  expect(() => read(text)).not.toThrow(SECRET);
});
