// The main job in front of a person: a node proves itself with its TPM, and a workload on it gets its identity.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DemoError } from './demo-error.ts';
import { Demonstration } from './demonstration.ts';
import { Narrator } from './narrator.ts';

const USAGE = `npm start -- [--once] [--json]
  --once  stop when the workload has its identity; its files stay
  --json  print one JSON object instead of the story
  ASSAYER_TCTI=device:/dev/tpmrm0 npm start  with a TPM that already runs
`;

/** The same signal may come from the terminal and from npm: once is enough. */
function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => controller.abort(name));
  return controller.signal;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { once: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const signal = untilSignal();
  const narrator = new Narrator(values.json ? () => {} : (text) => void process.stdout.write(text));
  const folder = await mkdtemp(join(tmpdir(), 'assayer-demo-'));
  let keep = false;
  try {
    await using demonstration = await Demonstration.run(folder, process.env.ASSAYER_TCTI, narrator, signal);
    if (values.json) process.stdout.write(`${JSON.stringify(demonstration.result, undefined, 2)}\n`);
    keep = values.once === true;
    if (!values.once) await stayUp(demonstration, narrator, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (!keep) await rm(folder, { recursive: true, force: true });
  }
}

async function stayUp(demonstration: Demonstration, narrator: Narrator, signal: AbortSignal): Promise<void> {
  narrator.line();
  const { paths } = demonstration;
  narrator.line('It stays up. Try in another terminal:');
  narrator.line(`  bin/assayer agent api fetch x509 -socketPath ${paths.agentSocket}`);
  narrator.line(`  bin/assayer server agent list -socketPath ${paths.serverSocket}`);
  narrator.line(`  bin/assayer server entry show -socketPath ${paths.serverSocket}`);
  narrator.line('Ctrl-C stops it.');
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([stopped, demonstration.failed()]);
  narrator.line('\nStopping.');
}

try {
  await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`assayer: ${message.split('\n')[0]}\n`);
  if (!(error instanceof DemoError) && process.env.ASSAYER_DEBUG !== undefined)
    process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`);
  process.exitCode = 1;
}
