// npm run test:chaos -- [-minutes N] [-seed N] [-workloads N] [-logs FOLDER]: chaos for as long as one likes, and a line at the end.
import { parseArgs } from 'node:util';
import { formatSummary } from './format-summary.ts';
import { runChaos } from './run-chaos.ts';

// One dash, as everywhere here.
const args = process.argv.slice(2).map((text) => text.replace(/^-(?=[a-z])/, '--'));
const { values } = parseArgs({
  args,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    workloads: { type: 'string', default: '16' },
    logs: { type: 'string' },
  },
});
const [minutes, seed, workloads] = [Number(values.minutes), Number(values.seed), Number(values.workloads)];
if (!(minutes > 0) || !Number.isInteger(seed) || !(workloads > 0)) {
  process.stderr.write('-minutes and -workloads take a number above 0, -seed a whole one\n');
  process.exit(2);
}
const say = (text: string) => process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
say(`chaos for ${minutes} minutes with ${workloads} workloads; the same again with -seed ${seed}`);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupted.abort());
const { signal } = interrupted;
const summary = await runChaos({
  seed,
  lengthMs: minutes * 60_000,
  workloads,
  onProgress: say,
  signal,
  logFolder: values.logs,
});
process.stdout.write(formatSummary(summary, seed));
process.exitCode = summary.violations.length === 0 ? 0 : 1;
