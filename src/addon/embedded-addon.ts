import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a program that is one file keeps the addons in it, by their names. */
const EMBEDDED = Symbol.for('assayer.embedded-addons');

/**
 * Gives an addon that is part of this program's only file to `load` as a file, which exists no longer than that: an addon
 * cannot be loaded from memory. A host of plugins has `TMPDIR` in a folder of the plugin's own.
 *
 * @returns what was loaded; undefined where no such addon is part of this program.
 */
export function loadEmbedded(name: string, load: (path: string) => unknown): unknown {
  const addons: unknown = Reflect.get(globalThis, EMBEDDED);
  const read: unknown = typeof addons === 'object' && addons !== null ? Reflect.get(addons, name) : undefined;
  if (typeof read !== 'function') return undefined;
  const content: unknown = read();
  if (!(content instanceof Uint8Array)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'addon-'));
  try {
    chmodSync(folder, 0o700);
    const path = join(folder, `${name}.node`);
    writeFileSync(path, content, { mode: 0o500 });
    return load(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
