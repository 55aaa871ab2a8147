import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { countsAsWe, isOnThisNode } from '../../src/plugin-host/on-this-node.ts';
import { TestProcess } from '../harness/child-process.ts';

const isRoot = process.getuid?.() === 0;
const NAMESPACES = [['--user', '--map-root-user'], ...(isRoot ? [['--pid', '--fork', '--kill-child']] : [])];

describe.each([
  ['by namespaces', isOnThisNode],
  ['by what everybody may read', countsAsWe],
] as const)('%s', (_how, isAlike) => {
  test('a process of this machine counts as we do', async () => {
    await using child = await TestProcess.start('sleep', ['100']);
    expect(isAlike(child.pid)).toBe(true);
  });

  test.each(NAMESPACES)('one of a %s namespace does not', async (...flags) => {
    await using child = await TestProcess.start('unshare', [...flags, 'sh', '-c', 'echo up; exec sleep 100']);
    expect(await child.readLine()).toBe('up');
    const [forked] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
    expect(isAlike(flags.includes('--fork') ? Number(forked) : child.pid)).toBe(false);
  });

  test('nor does one that is gone', () => {
    expect(isAlike(2 ** 22 + 1)).toBe(false);
  });
});
