import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PostgresConfig } from '../../src/config/datastore-config.ts';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const stack = new AsyncDisposableStack();
let folder: TemporaryFolder;
let postgres: PostgresServer;

/** `ca.pem`, and below it what PostgreSQL shows (`server.pem`, for localhost) and what a client may. */
async function makeCertificates(): Promise<void> {
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder.path });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const ca of ['ca', 'other-ca']) {
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${ca}.key`,
      '-out',
      `${ca}.pem`,
      '-subj',
      `/CN=${ca}`,
      '-days',
      '2',
    );
  }
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=assayer'],
    ['stranger', '/CN=stranger'],
  ]) {
    await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject ?? '');
    await writeFile(folder.join(`${name}.ext`), 'subjectAltName = DNS:localhost\n');
    const issue = ['-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    await openssl('x509', '-req', ...issue, '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  }
}

beforeAll(async () => {
  folder = stack.use(await createTemporaryFolder());
  await makeCertificates();
  postgres = stack.use(
    await PostgresServer.start({
      settings: ['ssl = on', "ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl_ca_file = 'ca.pem'"],
      files: ['server.pem', 'server.key', 'ca.pem'].map((name) => join(folder.path, name)),
      access: ['hostssl by_certificate all 127.0.0.1/32 cert', 'hostnossl all all 127.0.0.1/32 reject'],
    }),
  );
  await postgres.query('create database by_certificate');
}, 60_000);
afterAll(() => stack.disposeAsync());

function config(connection: Partial<PostgresConfig['connection']>): PostgresConfig {
  const whole = postgres.config();
  const { port, user, password } = postgres;
  return { ...whole, connection: { ...whole.connection, host: 'localhost', port, user, password, ...connection } };
}

describe('TLS to PostgreSQL', () => {
  const ca = () => ({ rootCaPath: folder.join('ca.pem') });
  const client = (name = 'client') => ({
    database: 'by_certificate',
    password: undefined,
    clientCertPath: folder.join(`${name}.pem`),
    clientKeyPath: folder.join(`${name}.key`),
  });

  test.each<readonly [string, () => Partial<PostgresConfig['connection']>]>([
    ['verified whole, as a CA asks for', () => ca()],
    ['verify-full', () => ({ ...ca(), tlsMode: 'verify-full' })],
    ['verify-ca at another name', () => ({ ...ca(), host: '127.0.0.1', tlsMode: 'verify-ca' })],
    ['require at another name', () => ({ ...ca(), host: '127.0.0.1', tlsMode: 'require' })],
    ['not verified, where nothing is asked for', () => ({})],
    ['with a certificate in place of a password', () => ({ ...ca(), ...client() })],
  ])('%s', async (_what, connection) => {
    await using datastore = await openDatastore({ postgres: config(connection()) });
    expect(await datastore.entries.count()).toBe(0);
    const rows = await postgres.query(
      'select 1 from pg_stat_ssl join pg_stat_activity using (pid) where ssl and client_addr is not null',
    );
    expect(rows.length).toBeGreaterThan(0);
  });

  test.each<readonly [string, () => Partial<PostgresConfig['connection']>, RegExp]>([
    ['another CA', () => ({ rootCaPath: folder.join('other-ca.pem') }), /cannot be reached \(.*certificate/],
    [
      'another CA, where only TLS is required',
      () => ({ rootCaPath: folder.join('other-ca.pem'), tlsMode: 'require' }),
      /cannot be reached \(.*certificate/,
    ],
    ['a CA of the system only', () => ({ tlsMode: 'verify-full' }), /cannot be reached \(.*certificate/],
    ['another name', () => ({ ...ca(), host: '127.0.0.1' }), /cannot be reached \(.*(altnames|cert's)/],
    ['no TLS, where PostgreSQL wants it', () => ({ tlsMode: 'disable' }), /refuses this user/],
    ['a certificate of somebody else', () => ({ ...ca(), ...client('stranger') }), /refuses this user/],
    ['no certificate, where one is wanted', () => ({ ...ca(), database: 'by_certificate' }), /refuses this user/],
    [
      "a client key that is not the certificate's",
      () => ({ ...ca(), ...client(), clientKeyPath: folder.join('stranger.key') }),
      /cannot be reached|key values mismatch/,
    ],
  ])('is refused: %s', async (_what, connection, message) => {
    await expect(openDatastore({ postgres: config(connection()) })).rejects.toMatchObject({
      message: expect.stringMatching(message),
    });
  });
});
