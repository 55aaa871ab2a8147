import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RuleResult, testPlugin } from '../../src/authoring/conformance/index.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import {
  GO_PLUGINS,
  OUR_PLUGINS,
  SDK_PLUGINS,
  type TriedPlugin,
} from '../../test/authoring/conformance/tried-plugins.ts';
import { type Column, formatTables } from './format-tables.ts';

const TARGET = join(import.meta.dirname, '..', '..', 'docs', 'conformance.md');

const makers: readonly (readonly [maker: string, plugins: readonly TriedPlugin[]])[] = [
  ['built in', OUR_PLUGINS],
  ['our SDK', SDK_PLUGINS],
  ['Go, go-plugin 1.4.0', GO_PLUGINS('1.4.0')],
  ['Go, go-plugin 1.8.0', GO_PLUGINS('1.8.0')],
];

// What Node makes of the sources is kept for the next start of a plugin.
const compiled = mkdtempSync(join(tmpdir(), 'assayer-conformance-'));
process.on('exit', () => rmSync(compiled, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
process.env.NODE_COMPILE_CACHE = compiled;

const columns: Column[] = [];
for (const [maker, plugins] of makers) {
  for (const plugin of plugins) columns.push({ maker, plugin, results: await run(maker, plugin) });
}
await writeFile(TARGET, formatTables(columns));
const failed = columns.flatMap(({ results }) => results.filter(({ verdict }) => verdict === 'FAIL'));
process.stdout.write(`wrote docs/conformance.md: ${columns.length} plugins, ${failed.length} rules failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function run(maker: string, plugin: TriedPlugin): Promise<readonly RuleResult[]> {
  await using stack = new AsyncDisposableStack();
  const options = await plugin.open(stack);
  const { side, type } = plugin;
  const trustDomain = parseTrustDomain('example.org');
  const { results, counts } = await testPlugin({ ...options, side, type, trustDomain, handshakeDeadlineMs: 30_000 });
  process.stdout.write(`${maker}: ${plugin.name}: ${JSON.stringify(counts)}\n`);
  for (const { verdict, id, reason } of results) {
    if (verdict === 'FAIL' || verdict === 'WARN') process.stdout.write(`  ${verdict} ${id}: ${reason}\n`);
  }
  return results;
}
