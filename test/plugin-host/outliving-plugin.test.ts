import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TestProcess } from '../harness/child-process.ts';
import { isGone } from './is-gone.ts';

const program = join(import.meta.dirname, '..', 'harness', 'outliving-host.ts');
const NOBODY = 65534;
const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

function canRunAsNobody(): boolean {
  try {
    execFileSync('setpriv', [...asNobody, 'unshare', '--user', process.execPath, '-e', ''], { stdio: 'ignore' });
    execFileSync('setpriv', [...asNobody, 'cat', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Processes with that word on their command line. */
function withMark(mark: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(mark);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const isRoot = process.getuid?.() === 0;
const users = isRoot && canRunAsNobody() ? (['this', 'nobody'] as const) : (['this'] as const);
const SANDBOXES: readonly (readonly [string, object])[] = [
  ['as a plugin of which nothing is known', {}],
  ['without a sandbox', { enabled: false }],
  ['with a user of its own', { user: 'own' }],
  ['that sees its own files alone', { readable: [] }],
];
const cases = users.flatMap((user) => SANDBOXES.map(([what, sandbox]) => [what, user, sandbox] as const));

describe.each(cases)(
  'a plugin %s, of a host that runs as %s user, which does all to outlive it',
  (_what, user, sandbox) => {
    async function start() {
      const host =
        user === 'this'
          ? await TestProcess.node(program)
          : await TestProcess.start('setpriv', [...asNobody, process.execPath, program]);
      const mark = randomUUID();
      // With the launcher's own user, and in sight of it, a plugin is as free as the host.
      const isAbove = 'readable' in sandbox || (user === 'this' && isRoot && 'user' in sandbox);
      host.writeLine(JSON.stringify({ mark, sandbox, kills: isAbove ? 'kills' : '' }));
      const { pid } = JSON.parse((await host.readLine()) ?? '{}');
      await expect.poll(() => withMark(mark).length).toBeGreaterThanOrEqual(3); // the launcher, itself, what it started
      return { host, mark, pid: Number(pid), pids: withMark(mark) };
    }
    const left = (pids: readonly number[]) => pids.filter((pid) => !isGone(pid));

    test('ends with it, even by SIGKILL', async () => {
      const { host, mark } = await start();
      await host.kill();
      // docs/server/crashes.md promises that plugins end within a second after their host.
      await expect.poll(() => left(withMark(mark)), { timeout: 1_000, interval: 20 }).toEqual([]);
    });

    test('leaves nothing behind where it ends by itself', async () => {
      const { host, mark, pid, pids } = await start();
      await using _host = host;
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => left(pids), { timeout: 3_000, interval: 20 }).toEqual([]);
      host.writeLine('end');
      expect(await host.readLine()).toBe('ended');
      expect(left(withMark(mark))).toEqual([]);
    });
  },
);
