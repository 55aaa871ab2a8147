import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { defineWorkloadAttestor, servePlugin, type WorkloadContext } from '../../src/plugin-sdk/index.ts';
import { DEEDS, type Deed } from './deeds.ts';

// A workload attestor that does harm without end, from its first call on.

const config = z.strictObject({ deed: z.string() });

const THREADS = 4;
const CALLS_AT_ONCE = 64;
const WRITES_A_TURN = 64;
const BLOCK_BYTES = 16 * 1024 * 1024;
const LINE = `${'noise '.repeat(20)}\n`;

const deeds: Readonly<Record<Deed, (context: WorkloadContext) => void>> = {
  nothing: () => {},
  cpu: burn,
  cpuAtFullWeight: burn,
  forks() {
    spawn('/usr/bin/perl', ['-e', 'fork while 1'], { stdio: 'ignore' });
  },
  memory() {
    const held: Buffer[] = [];
    forever(() => void held.push(Buffer.alloc(BLOCK_BYTES, 1)));
  },
  log() {
    forever(() => {
      for (let count = 0; count < WRITES_A_TURN; count += 1) process.stderr.write(LINE);
    });
  },
  messages() {
    forever(() => {
      for (let count = 0; count < WRITES_A_TURN; count += 1) process.stdout.write('x');
    });
  },
  calls(context) {
    const call = async () => {
      const metrics = await context.host.metrics();
      for (;;) await metrics.incrCounter({ key: ['noise'], val: 1, labels: [] });
    };
    for (let count = 0; count < CALLS_AT_ONCE; count += 1) void call();
  },
};

function burn(): void {
  for (let thread = 0; thread < THREADS; thread += 1) new Worker('for (;;);', { eval: true });
}

function forever(work: () => void): void {
  work();
  setImmediate(() => forever(work));
}

let hasBegun = false;

await servePlugin(
  defineWorkloadAttestor({
    name: 'hostile',
    config,
    configure: ({ deed }) => Object.keys(DEEDS).find((known): known is Deed => known === deed) ?? 'nothing',
    async attest(_pid, deed, context) {
      if (!hasBegun) setImmediate(() => deeds[deed](context));
      hasBegun = true;
      return [];
    },
  }),
);
