import { expect, test } from 'vitest';
import { readServerConfig } from '../../src/config/server-config.ts';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { findUnsupported } from '../../src/server/unsupported.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

async function read(settings: string, sections = '', plugins = '') {
  await using folder = await createTemporaryFolder();
  const path = folder.join('server.conf');
  await writeFileAtomically(
    path,
    `server { trust_domain = "example.org" data_dir = "/d" ${settings} }
     plugins {
       DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "/d/db" } }
       KeyManager "memory" {}
       ${plugins}
     }
     ${sections}`,
  );
  return readServerConfig({ path });
}

test('nothing is told of a plain configuration', async () => {
  expect(findUnsupported(await read(''))).toEqual([]);
});

test.each([
  ['', 'telemetry { Prometheus { port = 9988 } Statsd = [{ address = "localhost:8125" }] }', 'telemetry.Statsd'],
  ['', 'telemetry { DogStatsd = [{ address = "localhost:8125" }] }', 'telemetry.DogStatsd'],
  ['', 'telemetry { M3 = [{ address = "localhost:9000" env = "prod" }] }', 'telemetry.M3'],
  ['', 'telemetry { InMem {} }', 'telemetry.InMem'],
])('%s%s is told', async (settings, sections, key) => {
  expect(findUnsupported(await read(settings, sections))).toEqual([key]);
});

test('rate limits and trusted proxies are in effect', async () => {
  const settings = 'proxy_protocol_trusted_cidrs = ["10.0.0.0/8"] ratelimit { attestation = true signing = true }';
  expect(findUnsupported(await read(settings))).toEqual([]);
});
