import { expect, test, vi } from 'vitest';
import { JOIN_TOKEN_AND_UNIX } from '../harness/running-agent.ts';
import { TestDomain } from './test-domain.ts';

vi.setConfig({ testTimeout: 120_000 }); // three servers

test('a stranger in place of the server does not make the agent give up its trust bundle', async () => {
  await using first = await TestDomain.start();
  await using source = await TestDomain.start();
  await using stranger = await TestDomain.start();
  const start = async (serverPort: number, bundlePath: string, mode: string) =>
    await first.startAgent('node', {
      serverPort,
      settings: `trust_bundle_path = "${bundlePath}"
  rebootstrap_mode = "${mode}"
  join_token = "${await first.createToken()}"`,
      plugins: `KeyManager "memory" {}\n  ${JOIN_TOKEN_AND_UNIX}`,
    });
  await (await start(first.port, first.bundlePath, 'never'))[Symbol.asyncDispose]();
  await expect(start(stranger.port, source.bundlePath, 'always')).rejects.toThrow(/is not trusted/);
  await using again = await start(first.port, source.bundlePath, 'never');
  expect(again.messages).toContain('node attested');
});
