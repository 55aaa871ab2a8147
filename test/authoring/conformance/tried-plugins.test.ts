import { describe, expect, test } from 'vitest';
import { rulesFor, testPlugin } from '../../../src/authoring/conformance/index.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { describeWithGo } from '../../harness/requires.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { GO_PLUGINS, OUR_PLUGINS, SDK_PLUGINS, type TriedPlugin } from './tried-plugins.ts';

keepCompiledCode();

const SLOW_MS = 600_000;
/** What a plugin may be without: a service, a method, an argument of the kit. */
const MAY_BE_SKIPPED = /^(?:config|pair)\.|^auto-mtls\.works$|^log\.records$|^workload-attestor\.reference-garbage$/;

async function keepsEveryRule(plugin: TriedPlugin): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { side, type, warnings, skips = [] } = plugin;
  const trustDomain = parseTrustDomain('example.org');
  const options = await plugin.open(stack);
  const { results } = await testPlugin({ ...options, side, type, trustDomain, handshakeDeadlineMs: 30_000 });
  expect(results.map(({ id }) => id)).toEqual(rulesFor({ side, type }).map(({ id }) => id));
  expect(results.filter(({ verdict }) => verdict === 'FAIL')).toEqual([]);
  const warned = results.filter(({ verdict }) => verdict === 'WARN').map(({ id, reason }) => [id, reason]);
  const expected = Object.entries(warnings).map(([id, reason]) => [id, expect.stringMatching(reason)]);
  expect(warned).toEqual(expected);
  const skipped = results.filter(({ verdict }) => verdict === 'SKIP').map(({ id }) => id);
  expect(skipped.filter((id) => !MAY_BE_SKIPPED.test(id))).toEqual(skips);
  const ofPair = skipped.filter((id) => id.startsWith('pair.'));
  if (options.peer !== undefined) expect(ofPair).toEqual(plugin.asksNothing ? ['pair.overtaken'] : []);
}

describe('our own plugins keep every rule', () => {
  test.each(OUR_PLUGINS)('$name', keepsEveryRule, SLOW_MS);
});

describe('plugins made with our SDK keep every rule', () => {
  test.each(SDK_PLUGINS)('$name', keepsEveryRule, SLOW_MS);
});

describeWithGo('plugins made with SPIRE’s SDK keep every rule', () => {
  describe.each(['1.4.0', '1.8.0'] as const)('with go-plugin %s', (version) => {
    test.each(GO_PLUGINS(version))('$name', keepsEveryRule, SLOW_MS);
  });
});
