import { createPublicKey, hash, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { KeyManager } from '../../src/plugin-host/kinds/key-manager.ts';
import { ManagedTlsKey } from '../../src/rpc/managed-tls-key.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { describePlugins } from './implementations.ts';

const sides = [
  { side: 'server', args: [] },
  { side: 'agent', args: ['agent'] },
] as const;

describePlugins('a key manager', (implementation) => {
  describe.each(sides)('on the $side', ({ side, args }) => {
    const host = new TestHost();
    let catalog: PluginCatalog;
    let keyManager: KeyManager;

    beforeAll(async () => {
      const plugin = await implementation.plugin('key-manager', ...args);
      const config = pluginConfig({ type: 'KeyManager', name: 'keys', ...plugin });
      const others =
        side === 'server'
          ? [SQL]
          : [
              JOIN_TOKEN,
              pluginConfig({
                type: 'WorkloadAttestor',
                name: 'any',
                ...(await implementation.plugin('workload-attestor')),
              }),
            ];
      catalog = await host.load(side, [config, ...others]);
      keyManager = catalog.keyManager;
    });
    afterAll(async () => {
      await catalog?.[Symbol.asyncDispose]();
    });

    test.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const)(
      'makes and finds a key of type %s',
      async (type) => {
        const key = await keyManager.generateKey(type, type);
        expect(key).toMatchObject({ id: type, keyType: type });
        const found = await keyManager.findKey(type);
        expect(found).toMatchObject({
          id: type,
          keyType: type,
          fingerprint: key.fingerprint,
          publicKey: key.publicKey,
        });
        expect((await keyManager.getKeys()).map(({ id }) => id)).toContain(type);
      },
    );

    test.each(['ec-p256', 'rsa-2048'] as const)('signs a digest with %s', async (type) => {
      const key = await keyManager.generateKey('signer', type);
      const message = Buffer.from('what is signed');
      for (const name of ['sha256', 'sha384', 'sha512'] as const) {
        const signature = await key.signDigest(hash(name, message, 'buffer'), name);
        const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' });
        expect(verify(name, message, publicKey, signature)).toBe(true);
      }
    });

    test('a key that is not there is undefined', async () => {
      expect(await keyManager.findKey('never made')).toBeUndefined();
    });

    test('a key that was replaced signs no more', async () => {
      const old = await keyManager.generateKey('slot', 'ec-p256');
      await keyManager.generateKey('slot', 'ec-p256');
      await expect(old.signDigest(hash('sha256', 'x', 'buffer'), 'sha256')).rejects.toThrow(
        /^keymanager\(keys\): .*was replaced/,
      );
    });

    test.each([
      ['another id', 'answers-another-id', /answered key "another" when asked for "answers-another-id"/],
      ['a key that does not parse', 'answers-garbage', /does not parse/],
      ['an empty key', 'answers-empty', /empty public key/],
    ])('an answer with %s is refused (§8.1)', async (_what, id, message) => {
      const refusal = keyManager.generateKey(id, 'ec-p256');
      await expect(refusal).rejects.toMatchObject({
        code: 'PLUGIN_PROTOCOL',
        message: expect.stringMatching(message),
      });
    });

    if (implementation.made === 'go') {
      test('an answer with no key is refused (§8.1)', async () => {
        await expect(keyManager.generateKey('answers-no-key', 'ec-p256')).rejects.toMatchObject({
          code: 'PLUGIN_PROTOCOL',
          message: 'keymanager(keys): key manager answered no public key for "answers-no-key"',
        });
      });
    }

    test.each([
      ['an empty signature', 'signs-nothing', /empty signature/],
      ['another key’s signature', 'signs-as-another', /another key/],
    ])('%s is refused (§8.1)', async (_what, id, message) => {
      const key = await keyManager.generateKey(id, 'ec-p256');
      await expect(key.signDigest(hash('sha256', 'x', 'buffer'), 'sha256')).rejects.toThrow(message);
    });

    test('its key serves TLS without leaving it', async () => {
      const { endpoint, publicKey, fingerprint } = await keyManager.generateKey('tls', 'ec-p256');
      expect(endpoint).toMatchObject({ socketPath: expect.stringMatching(/^\//), side });
      await using key = await ManagedTlsKey.open({ keyId: 'tls', publicKey, fingerprint, endpoint });
      expect(key.publicKey).toEqual(publicKey); // it signed and verified before it was opened
    });

    test('the catalog tells its process', () => {
      const [status] = catalog.plugins;
      expect(status).toMatchObject({
        type: 'KeyManager',
        name: 'keys',
        builtin: false,
        pid: expect.any(Number),
        state: 'running',
      });
    });
  });
});
