import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runBare } from '../../src/authoring/conformance/layer/bare-run.ts';
import { inspectPlugin } from '../../src/authoring/inspect/index.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

/** How many processes have that word on their command line. */
function countMarked(mark: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(mark);
    } catch {
      return false;
    }
  }).length;
}

/** Leaves somebody behind in a session of its own, then goes on as it is told. */
async function outliving(mark: string, then: string): Promise<string> {
  const path = folder.join('plugin');
  const ready = folder.join('ready');
  const left = `setsid sh -c ': > ${ready}; sleep 100; :' ${mark} > /dev/null 2>&1 < /dev/null &`;
  const wait = `until [ -e ${ready} ]; do sleep 0.01; done`;
  await writeFile(path, `#!/bin/sh\n${left}\n${wait}\n${then}\n`, { mode: 0o755 });
  return path;
}

describe('a program that leaves somebody behind', () => {
  test.each([
    ['ends', 'exit 1'],
    ['stays', 'exec sleep 100'],
  ])('and %s leaves nothing of an inspection', async (_what, then) => {
    const mark = randomUUID();
    const command = await outliving(mark, then);
    const trustDomain = parseTrustDomain('example.org');
    const { loadable } = await inspectPlugin({ command, args: [], trustDomain, handshakeDeadlineMs: 1_000 });
    expect(loadable).toBe(false);
    expect(countMarked(mark)).toBe(0);
  });

  test('leaves nothing of a run outside of a host', async () => {
    const mark = randomUUID();
    const command = await outliving(mark, 'exit 1');
    expect(await runBare({ command, args: [] }, {})).toMatchObject({ status: 1 });
    expect(countMarked(mark)).toBe(0);
  });
});
