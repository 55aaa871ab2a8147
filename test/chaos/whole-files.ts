import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_NAME } from '../../src/files/temporary-file.ts';

const CACHE_MAGIC = 'ASYCACH2';
/** SQLite's own, which it mends by itself. */
const DATABASE = /^datastore\.sqlite3(-wal|-shm|-journal)?$/;

/** What is wrong with the files in a data folder of which the program was killed: those that have a name are whole. */
export async function faultsIn(folder: string): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const name of await namesIn(folder)) {
    if (TEMPORARY_NAME.test(name) || DATABASE.test(name)) continue;
    const content = await readFile(join(folder, name)).catch(() => undefined);
    if (content !== undefined && !isWhole(name, content)) faults.push(`${name} is half written`);
  }
  return faults;
}

/** Names of files that are only there while something is being written. */
export async function temporaryFilesIn(folder: string): Promise<readonly string[]> {
  return (await namesIn(folder)).filter((name) => TEMPORARY_NAME.test(name));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

function isWhole(name: string, content: Buffer): boolean {
  if (name === 'workload-cache') return content.subarray(0, CACHE_MAGIC.length).toString('latin1') === CACHE_MAGIC;
  if (!name.endsWith('.json')) return content.length > 0;
  try {
    JSON.parse(content.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
