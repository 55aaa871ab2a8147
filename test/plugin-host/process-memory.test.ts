import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findMemoryBytes } from '../../src/plugin-host/process-memory.ts';
import { TestProcess } from '../harness/child-process.ts';

const MANY = 320;

function pssOf(pid: number): number {
  const [, kibibytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** A process with so many children, one below the other or side by side, which end with it. */
async function family(count: number, shape: 'deep' | 'wide'): Promise<{ process: TestProcess; pids: number[] }> {
  const process = await TestProcess.start('perl', [
    '-e',
    `$| = 1; print "$$\\n";
     for (1..${count}) {
       my $parent = $$;
       my $pid = fork;
       if (${shape === 'deep' ? '$pid' : '!$pid'}) { syscall(157, 1, 9) unless $pid; print "$$\\n" unless $pid; sleep 60; exit; }
       ${shape === 'deep' ? 'syscall(157, 1, 9); print "$$\\n";' : ''}
     }
     sleep 60;`,
  ]);
  const pids: number[] = [];
  while (pids.length <= count) pids.push(Number(await process.readLine()));
  return { process, pids };
}

test('counts a plugin with what it started', async () => {
  const { process, pids } = await family(3, 'deep');
  await using _process = process;
  const [root = 0] = pids;
  const found = await findMemoryBytes(root);
  expect(found).toBeGreaterThan(pssOf(root) * 1.2);
  expect(found).toBeLessThan(pids.reduce((sum, pid) => sum + pssOf(pid), 0) * 1.1);
});

test.each(['wide', 'deep'] as const)(
  'looks at no more than so many of a plugin that forks without end: %s',
  async (shape) => {
    const { process, pids } = await family(MANY, shape);
    await using _process = process;
    const all = pids.reduce((sum, pid) => sum + pssOf(pid), 0);
    const found = await findMemoryBytes(pids[0] ?? 0);
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(all * 0.95);
  },
);

test('knows nothing of a process that has ended', async () => {
  expect(await findMemoryBytes(2 ** 22 + 1)).toBeUndefined();
});
