import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ControlGroup } from '../../../src/plugin-host/sandbox/control-group.ts';
import { TestProcess } from '../../harness/child-process.ts';
import { isGone } from '../is-gone.ts';

/** Undefined where this program may not make one. */
const group = await ControlGroup.create(`assayer-test-${process.pid}`, { controller: 'pids', processes: 64 }).catch(
  () => undefined,
);
afterAll(() => group?.remove());

const pidsIn = async (entrance: string) => (await readFile(entrance, 'utf8')).split('\n').filter(Boolean).map(Number);

test.runIf(group !== undefined)(
  'a control group that is removed takes a process along that is another one by then',
  async () => {
    const entrance = group?.entrance ?? '';
    // Each lives only until it has started the next, in a session of its own; the starter reaps them, by PR_SET_CHILD_SUBREAPER.
    const program = `syscall(157, 36, 1); $SIG{CHLD} = 'IGNORE'; $| = 1;
    if (fork) { print "running\n"; sleep 60; exit; }
    open my $f, '>', '${entrance}'; print $f '0'; close $f; close STDOUT; for (1..20) { last unless fork; }
    for (;;) { my $pid = fork; exit if $pid; syscall(112) if defined $pid; }`;
    await using starter = await TestProcess.start('perl', ['-e', program]);
    expect(await starter.readLine()).toBe('running');
    await expect.poll(async () => (await pidsIn(entrance)).length).toBeGreaterThan(0);
    const before = await pidsIn(entrance);
    await expect.poll(() => before.every(isGone)).toBe(true);
    await group?.remove();
    expect(existsSync(dirname(entrance))).toBe(false);
  },
);
