import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ManagedKey } from '../../src/plugin-host/kinds/key-manager.ts';
import { ManagedTlsKey } from '../../src/rpc/managed-tls-key.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { pluginConfig, SQL, TestHost } from './go-plugins.ts';

const KILLS = 3;
const ID = 'spiffe://example.org/x';

let folder: TemporaryFolder;
let authority: TestAuthority;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  authority = await TestAuthority.create();
});
afterAll(() => folder[Symbol.asyncDispose]());

function openTlsKey(key: ManagedKey): Promise<ManagedTlsKey> {
  const { id: keyId, publicKey, fingerprint, endpoint } = key;
  return ManagedTlsKey.open({
    keyId,
    publicKey,
    fingerprint,
    endpoint,
    onEndpointChange: (listener) => key.onEndpointChange(listener),
  });
}

/** A TLS server whose key stays in the key manager. @returns what a handshake with it shows, empty where it failed */
async function serve(key: ManagedTlsKey): Promise<() => Promise<string>> {
  const { certificates } = await authority.issue({ spiffeId: ID, publicKey: key.publicKey });
  const cert = certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
  const server = createServer({ cert, ...key.secureContextOptions }, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return () =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      let name = '';
      socket.on('secureConnect', () => {
        name = socket.getPeerX509Certificate()?.subjectAltName ?? '';
      });
      socket.on('error', () => {}); // the alert of a server that could not sign
      socket.on('close', () => resolve(name));
      socket.resume();
    });
}

describe.each([false, true])('a key manager that is killed again and again, AutoMTLS %s', (autoMtls) => {
  test('loses no key, and TLS handshakes go on with its next process', async () => {
    const host = new TestHost();
    const data = { text: `keys_path = "${folder.join(`keys-${autoMtls}/keys.json`)}"` };
    const disk = pluginConfig({ type: 'KeyManager', name: 'disk', data, autoMtls });
    await using catalog = await host.load('server', [disk, SQL], { builtins: builtinPlugins('server') });
    const key = await catalog.keyManager.generateKey('tls', 'ec-p256');
    await using tlsKey = await openTlsKey(key);
    const handshake = await serve(tlsKey);
    expect(await handshake()).toBe(`URI:${ID}`);
    for (let kill = 1; kill <= KILLS; kill += 1) {
      process.kill(catalog.plugins[0]?.pid ?? Number.NaN, 'SIGKILL');
      await key.signDigest(new Uint8Array(32), 'sha256'); // waits for the next process
      expect(catalog.plugins[0]).toMatchObject({ generation: kill + 1 });
      await eventually(async () => expect([await handshake(), tlsKey.lastFailure]).toEqual([`URI:${ID}`, undefined]));
      const found = await catalog.keyManager.findKey('tls');
      expect(found).toMatchObject({ publicKey: key.publicKey, fingerprint: key.fingerprint });
    }
  }, 120_000);
});
