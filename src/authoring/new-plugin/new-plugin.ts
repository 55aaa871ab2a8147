import { join, resolve } from 'node:path';
import { SpiffeError } from '../../spiffe/error.ts';
import { configurationBlocks, makefile, packageJson } from './generated-files.ts';
import { halvesOf, type KindName } from './kinds.ts';
import { findOwnPackage } from './package-folder.ts';
import { requirePluginName } from './plugin-name.ts';
import { publishProject } from './publish-project.ts';
import { fillIn, type Language, type ProjectFiles, readTemplates } from './template-files.ts';

export interface NewPluginOptions {
  readonly kind: KindName;
  readonly language: Language;
  /** Also that of the folder. */
  readonly name: string;
  /** Where the folder is made. */
  readonly parent: string;
}

/**
 * Makes a project that builds, tests and runs.
 *
 * @returns the absolute path of its folder
 * @throws SpiffeError where it cannot be made; nothing of it is there then.
 */
export async function newPlugin({ kind, language, name, parent }: NewPluginOptions): Promise<string> {
  requirePluginName(name, kind);
  const folder = resolve(parent, name);
  if (language === 'ts' && folder.includes('/node_modules/')) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `Node runs no TypeScript below "node_modules": make "${name}" in another folder`,
    );
  }
  const own = await findOwnPackage();
  const project = { name, folder, halves: halvesOf(kind, name) };
  const values = {
    __NAME__: name,
    __FOLDER__: JSON.stringify(folder).slice(1, -1),
    __PROGRAMS__: JSON.stringify(project.halves.map(({ prefix, type }) => [`src/${prefix}main.ts`, type])),
  };
  const templates = await readTemplates(join(own.folder, 'templates'), kind, language, values);
  const blocks = configurationBlocks(project, templates);
  const files = new Map([...templates, ...blocks]);
  files.set(
    'README.md',
    fillIn(files.get('README.md') ?? '', { __ABOUT__: aboutOf(files), __BLOCKS__: printBlocks(blocks) }),
  );
  files.delete('about.md');
  if (language === 'go') files.set('Makefile', makefile(project, own));
  else files.set('package.json', packageJson(project, own));
  await publishProject(folder, files, language === 'ts' ? linksTo(own.folder) : new Map());
  return folder;
}

/** What `npm install` would make of the dependency on this package: so the project runs at once. */
function linksTo(folder: string): ProjectFiles {
  return new Map([
    [join('node_modules', 'assayer'), folder],
    [join('node_modules', '.bin', 'assayer'), join('..', 'assayer', 'bin', 'assayer')],
  ]);
}

function aboutOf(files: ProjectFiles): string {
  return (files.get('about.md') ?? '').trimEnd();
}

function printBlocks(blocks: ProjectFiles): string {
  return [...blocks.values()].map((block) => `\`\`\`hcl\n${block}\`\`\``).join('\n\n');
}
