import { randomInt } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** Inclusive. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Where user IDs are looked for: systemd's list of who uses which has nobody in the first one. The second one is for
 * containers that map a small part only.
 */
const WANTED: readonly Range[] = [
  { first: 1_879_048_192, last: 2_147_483_646 },
  { first: 30_000, last: 59_999 },
];
const ATTEMPTS = 1_000;

const usersFile = z.strictObject({ format: z.literal('assayer-plugin-users-1'), users: z.record(z.string(), z.int()) });

/** Gives every plugin a user and group ID of its own, the same one at every start. */
export class PluginUsers {
  readonly #path: string | undefined;
  #users: Map<string, number> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param path where they are kept; absent, they hold for the life of this process. */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  /**
   * The ID for the plugin of that name; undefined where this process cannot have more IDs than it has.
   *
   * @throws SpiffeError `FILE_UNUSABLE`
   */
  async findId(name: string): Promise<number | undefined> {
    const next = this.#last.then(() => this.#findOrAllocate(name));
    this.#last = next.catch(() => {});
    return await next;
  }

  /** Whether a folder was given to the user of one of these plugins. */
  async isPluginFolder(path: string): Promise<boolean> {
    const { uid } = await lstat(path);
    return await this.isPluginUser(uid);
  }

  /** Whether it was given to one of these plugins. */
  async isPluginUser(userId: number): Promise<boolean> {
    return [...(await this.#known()).values()].includes(userId);
  }

  async #known(): Promise<Map<string, number>> {
    this.#users ??= await this.#read();
    return this.#users;
  }

  async #findOrAllocate(name: string): Promise<number | undefined> {
    const users = await this.#known();
    const range = await findRange();
    if (range === undefined) return undefined;
    const known = users.get(name);
    if (known !== undefined && known >= range.first && known <= range.last) return known;
    const id = await allocate(range, new Set(users.values()));
    users.set(name, id);
    if (this.#path !== undefined) {
      const content = { format: 'assayer-plugin-users-1', users: Object.fromEntries(users) };
      await writeFileAtomically(this.#path, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
    }
    return id;
  }

  async #read(): Promise<Map<string, number>> {
    const text = this.#path === undefined ? undefined : await readFile(this.#path, 'utf8').catch(() => undefined);
    if (text === undefined) return new Map();
    try {
      return new Map(Object.entries(usersFile.parse(JSON.parse(text)).users));
    } catch (cause) {
      throw new SpiffeError(
        'FILE_UNUSABLE',
        `the file "${this.#path}" is damaged: remove it, plugins get new user IDs`,
        {
          cause,
        },
      );
    }
  }
}

/** What this process may change to: all of a range of ours that its user namespace maps, for users and groups. */
async function findRange(): Promise<Range | undefined> {
  const [users, groups] = await Promise.all([readMap('/proc/self/uid_map'), readMap('/proc/self/gid_map')]);
  return WANTED.find((wanted) => [users, groups].every((mapped) => mapped.some((range) => covers(range, wanted))));
}

const covers = (range: Range, wanted: Range) => range.first <= wanted.first && range.last >= wanted.last;

/** Source: user_namespaces(7): the first ID inside, the first outside, how many. */
async function readMap(path: string): Promise<readonly Range[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([first, , length]) => (first === undefined || !length ? [] : [{ first, last: first + length - 1 }]));
}

async function allocate({ first, last }: Range, taken: ReadonlySet<number>): Promise<number> {
  const people = await readAccounts();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const id = randomInt(first, last + 1);
    if (!taken.has(id) && !people.has(id)) return id;
  }
  throw new SpiffeError('INTERNAL', 'no user ID is free for a plugin');
}

/** User IDs and group IDs that have names. */
async function readAccounts(): Promise<ReadonlySet<number>> {
  const texts = await Promise.all(['/etc/passwd', '/etc/group'].map((path) => readFile(path, 'utf8').catch(() => '')));
  return new Set(texts.flatMap((text) => text.split('\n').map((line) => Number(line.split(':')[2] ?? Number.NaN))));
}
