import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { KindName } from './kinds.ts';

export type Language = 'ts' | 'go';

/** Contents by their path in the project. */
export type ProjectFiles = ReadonlyMap<string, string>;

/** Packages do not carry files of these names. */
const RENAMED: ReadonlyMap<string, string> = new Map([['gitignore', '.gitignore']]);

/**
 * Reads the templates of a kind: what all kinds have in a language, what both languages have of the kind, and the kind
 * in that language.
 *
 * @param values stand where their names do, such as `__NAME__`
 */
export async function readTemplates(
  templates: string,
  kind: KindName,
  language: Language,
  values: Readonly<Record<string, string>>,
): Promise<ProjectFiles> {
  const files = new Map<string, string>();
  for (const folder of [join('common', language), join(kind, 'both'), join(kind, language)]) {
    for (const [path, text] of await readFolder(join(templates, folder))) files.set(path, fillIn(text, values));
  }
  return files;
}

/** Each name with its value; text that comes from a value is not looked at again. */
export function fillIn(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/__[A-Z]+__/g, (name) => values[name] ?? name);
}

async function readFolder(folder: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => {
        const path = relative(folder, join(parentPath, RENAMED.get(name) ?? name));
        return [path, await readFile(join(parentPath, name), 'utf8')] as const;
      }),
  );
}
