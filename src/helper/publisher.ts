import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readlink, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HelperConfig } from '../config/helper-config.ts';
import { below } from '../files/held-path.ts';
import { temporaryPath } from '../files/temporary-file.ts';
import { type FileOwner, writeFileAtomically } from '../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { openCertificateFolder } from './certificate-folder.ts';

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
    if (changed.length === 0) return false;
    await using folder = await openCertificateFolder(this.#folder);
    for (const { name, content, mode } of changed) {
      await writeFileAtomically(below(folder, name), content, mode, this.#owner, join(this.#folder, name));
      this.#written.set(name, content);
    }
    return true;
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
    await using folder = await openCertificateFolder(this.#folder);
    const version = `version-${randomBytes(8).toString('hex')}`;
    try {
      const before = await readlink(below(folder, CURRENT)).catch(() => undefined);
      await this.#write(version, folder, files);
      await this.#link(version, folder, CURRENT);
      for (const name of this.#names) {
        const target = join(CURRENT, name);
        const found = await readlink(below(folder, name)).catch(() => undefined);
        if (found !== target) await this.#link(target, folder, name);
      }
      await folder.sync();
      await this.#removeOthers(folder, [version, before]);
    } catch (cause) {
      if ((await readlink(below(folder, CURRENT)).catch(() => undefined)) !== version) {
        await removeVersion(folder, version);
      }
      if (cause instanceof SpiffeError) throw cause;
      const reason = messageOf(cause);
      throw new SpiffeError('FILE_UNUSABLE', `cannot switch the folder "${this.#folder}": ${reason}`, { cause });
    }
  }

  /** The folder's own mode lets whoever may enter the folder above read what the files' modes allow. */
  async #write(version: string, folder: FileHandle, files: readonly WrittenFile[]): Promise<void> {
    await mkdir(below(folder, version), { mode: 0o700 });
    await using written = await openVersion(folder, version);
    const { mode: above } = await folder.stat();
    for (const { name, content, mode } of files) {
      const shown = join(this.#folder, version, name);
      await writeFileAtomically(below(written, name), content, mode, this.#owner, shown);
    }
    if (this.#owner !== undefined) await written.chown(this.#owner.uid, this.#owner.gid);
    await written.chmod((above & 0o755) | 0o700);
    await written.sync();
  }

  async #link(target: string, folder: FileHandle, name: string): Promise<void> {
    const temporary = temporaryPath(below(folder, '.'));
    await symlink(target, temporary);
    await rename(temporary, below(folder, name)).catch(async (error: unknown) => {
      await unlink(temporary).catch(() => {});
      throw error;
    });
  }

  async #removeOthers(folder: FileHandle, kept: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(below(folder, '.'))) {
      if (VERSION.test(name) && !kept.includes(name)) await removeVersion(folder, name);
    }
  }
}

/** Whoever owns the folder above may have put something else in its place. */
async function openVersion(folder: FileHandle, name: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  return await open(below(folder, name), flags);
}

/** What is in it are files; a folder that somebody has put there stays, and so does this one. */
async function removeVersion(folder: FileHandle, name: string): Promise<void> {
  try {
    await using version = await openVersion(folder, name);
    for (const file of await readdir(below(version, '.'))) await unlink(below(version, file));
    await rmdir(below(folder, name));
  } catch {
    // the next switch tries again
  }
}
