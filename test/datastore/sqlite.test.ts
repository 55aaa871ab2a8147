import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StatementSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { id, newEntry, selectors } from './fixtures.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'datastore-'));
  path = join(folder, 'datastore.sqlite3');
});
afterEach(() => rm(folder, { recursive: true }));

function startWriter(prefix: string, count?: number) {
  const script = join(import.meta.dirname, 'writer.ts');
  const args = [script, path, prefix, ...(count === undefined ? [] : [String(count)])];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Both entries of each transaction are there, whole, with three events; the sequence has no gap. */
async function requireConsistent(datastore: Datastore, committed: readonly string[]): Promise<number> {
  const { items } = await datastore.entries.list();
  const ids = new Set(items.map((entry) => entry.id));
  for (const name of committed) expect([ids.has(`${name}-a`), ids.has(`${name}-b`)]).toEqual([true, true]);
  for (const entry of items) {
    const isUpdated = entry.id.endsWith('-a');
    expect(ids.has(entry.id.replace(/.$/, isUpdated ? 'b' : 'a'))).toBe(true);
    expect(entry).toMatchObject({
      selectors: selectors('a:1', 'b:2'),
      dnsNames: isUpdated ? ['a.test'] : [],
      revisionNumber: isUpdated ? 1 : 0,
    });
  }
  const latest = await datastore.entries.latestEvent();
  const { events, missed } = await datastore.entries.eventsAfter(0, latest + 1);
  expect(missed).toBe(false);
  expect(events.map((event) => event.sequence)).toEqual(Array.from({ length: latest }, (_, n) => n + 1));
  expect(latest).toBe((items.length / 2) * 3);
  return items.length / 2;
}

describe('a process that dies', () => {
  test.each([1, 7, 40, 150])('by kill -9 after %s transactions leaves whole ones only', async (lines) => {
    const committed: string[] = [];
    for (const prefix of ['first', 'second']) {
      const writer = startWriter(prefix);
      const start = committed.length;
      for await (const line of createInterface(writer.stdout)) {
        committed.push(line);
        if (committed.length === start + lines) writer.kill('SIGKILL');
      }
      if (writer.signalCode === null) await once(writer, 'exit');
      expect(writer.signalCode).toBe('SIGKILL');
    }
    await using datastore = await openDatastore({ path });
    await requireConsistent(datastore, committed);
  });
});

describe('two processes', () => {
  test('write to one file in turns and lose nothing', async () => {
    const writers = [startWriter('first', 60), startWriter('second', 60)];
    const ends = await Promise.all(writers.map((writer) => once(writer, 'exit')));
    expect(ends).toEqual([
      [0, null],
      [0, null],
    ]);
    await using datastore = await openDatastore({ path });
    expect(await requireConsistent(datastore, [])).toBe(120);
  });
});

describe('queries', () => {
  test('a list takes as many for 1,000 entries as for 10', async () => {
    await using datastore = await openDatastore({ path });
    const executions = async (size: number) => {
      const all = vi.spyOn(StatementSync.prototype, 'all');
      try {
        expect((await datastore.entries.list({}, { size })).items).toHaveLength(size);
        return all.mock.calls.length;
      } finally {
        all.mockRestore();
      }
    };
    await datastore.entries.createMany(Array.from({ length: 1001 }, (_, n) => newEntry({ spiffeId: id(`w/${n}`) })));
    const few = await executions(10);
    expect(few).toBeGreaterThan(0);
    expect(await executions(999)).toBe(few);
  });
});
