import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HelperConfig } from '../config/helper-config.ts';
import { syncFolder, temporaryPath } from '../files/temporary-file.ts';
import { type FileOwner, writeFileAtomically } from '../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

/** A file in the folder of certificates. */
export interface WrittenFile {
  readonly name: string;
  /** Permission bits. */
  readonly mode: number;
  readonly content: string;
}

/** Puts files in place. Calls are made one after the other. */
export interface Publisher {
  /**
   * @param files in the order in which readers may see them
   * @returns whether anything changed
   * @throws SpiffeError `FILE_UNUSABLE`
   */
  publish(files: readonly WrittenFile[]): Promise<boolean>;
}

/** @param names of every file that there will be */
export function createPublisher(
  { certDir, layout }: Pick<HelperConfig, 'certDir' | 'layout'>,
  names: readonly string[],
  owner: FileOwner | undefined,
): Publisher {
  return layout === 'files' ? new SingleFiles(certDir, owner) : new Versions(certDir, names, owner);
}

/** Each file replaced by itself. */
class SingleFiles implements Publisher {
  readonly #folder: string;
  readonly #owner: FileOwner | undefined;
  readonly #written = new Map<string, string>();

  constructor(folder: string, owner: FileOwner | undefined) {
    this.#folder = folder;
    this.#owner = owner;
  }

  async publish(files: readonly WrittenFile[]): Promise<boolean> {
    const changed = files.filter(({ name, content }) => this.#written.get(name) !== content);
    for (const { name, content, mode } of changed) {
      await writeFileAtomically(join(this.#folder, name), content, mode, this.#owner);
      this.#written.set(name, content);
    }
    return changed.length > 0;
  }
}

/** The link that readers follow, beside the folders that it leads to. */
const CURRENT = 'current';
const VERSION = /^version-[0-9a-f]{16}$/;

/**
 * Every set of files in a folder of its own, `current` a symbolic link to the newest one, and under the name of each file a
 * link through `current`. The set before stays until the next one, for whoever is reading it.
 */
class Versions implements Publisher {
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #owner: FileOwner | undefined;
  #files = new Map<string, WrittenFile>();

  constructor(folder: string, names: readonly string[], owner: FileOwner | undefined) {
    this.#folder = folder;
    this.#names = names;
    this.#owner = owner;
  }

  async publish(files: readonly WrittenFile[]): Promise<boolean> {
    const changed = files.some(({ name, content }) => this.#files.get(name)?.content !== content);
    if (!changed) return false;
    const all = new Map([...this.#files, ...files.map((file) => [file.name, file] as const)]);
    // A set that lacks a file would take away what the run before had written: it waits for the last part.
    if (this.#names.every((name) => all.has(name))) await this.#switchTo([...all.values()]);
    this.#files = all;
    return true;
  }

  async #switchTo(files: readonly WrittenFile[]): Promise<void> {
    const version = `version-${randomBytes(8).toString('hex')}`;
    const path = join(this.#folder, version);
    try {
      const before = await readlink(join(this.#folder, CURRENT)).catch(() => undefined);
      await mkdir(path, { mode: 0o700 });
      for (const { name, content, mode } of files)
        await writeFileAtomically(join(path, name), content, mode, this.#owner);
      await this.#open(path);
      await this.#link(version, CURRENT);
      for (const name of this.#names) {
        const target = join(CURRENT, name);
        const found = await readlink(join(this.#folder, name)).catch(() => undefined);
        if (found !== target) await this.#link(target, name);
      }
      await syncFolder(this.#folder);
      await this.#removeOthers([version, before]);
    } catch (cause) {
      if ((await readlink(join(this.#folder, CURRENT)).catch(() => undefined)) !== version) {
        await rm(path, { recursive: true, force: true });
      }
      if (cause instanceof SpiffeError) throw cause;
      const reason = messageOf(cause);
      throw new SpiffeError('FILE_UNUSABLE', `cannot switch the folder "${this.#folder}": ${reason}`, { cause });
    }
  }

  /** The folder's own mode lets whoever may enter the folder above read what the files' modes allow. */
  async #open(path: string): Promise<void> {
    const above = await stat(this.#folder);
    const folder = await open(path, 'r');
    try {
      if (this.#owner !== undefined) await folder.chown(this.#owner.uid, this.#owner.gid);
      await folder.chmod((above.mode & 0o755) | 0o700);
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async #link(target: string, name: string): Promise<void> {
    const temporary = temporaryPath(this.#folder);
    await symlink(target, temporary);
    await rename(temporary, join(this.#folder, name)).catch(async (error: unknown) => {
      await rm(temporary, { force: true });
      throw error;
    });
  }

  async #removeOthers(kept: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (!VERSION.test(name) || kept.includes(name)) continue;
      await rm(join(this.#folder, name), { recursive: true, force: true });
    }
  }
}
