import { readFileSync, statSync } from 'node:fs';

/** Names of users or groups by number, from a file in the format of passwd(5) or group(5). */
export class Accounts {
  readonly #path: string;
  #version = '';
  #names: ReadonlyMap<number, string> = new Map();

  constructor(path: string) {
    this.#path = path;
  }

  /** As they are now: the file is read again only when it changed. One that cannot be read has no names. */
  get names(): ReadonlyMap<number, string> {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version !== this.#version) {
        this.#names = parseAccounts(readFileSync(this.#path, 'utf8'));
        this.#version = version;
      }
    } catch {
      this.#names = new Map();
      this.#version = '';
    }
    return this.#names;
  }
}

/** `name:password:number:…` a line; of several names for a number the first counts. */
export function parseAccounts(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (!name || name.startsWith('#') || id === undefined || !/^\d+$/.test(id) || names.has(Number(id))) continue;
    names.set(Number(id), name);
  }
  return names;
}
