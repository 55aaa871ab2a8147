import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';

const run = promisify(execFile);
const CHECKOUT = join(import.meta.dirname, '..', '..');
const COMPILER = join(CHECKOUT, 'node_modules', 'typescript', 'bin', 'tsc');

/** A project of somebody else's that has installed this package, as it was built. */
export class OutsideProject implements AsyncDisposable {
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  static async create(): Promise<OutsideProject> {
    const folder = await createTemporaryFolder();
    await mkdir(folder.join('node_modules'));
    await symlink(CHECKOUT, folder.join('node_modules/assayer'));
    await symlink(join(CHECKOUT, 'node_modules', 'zod'), folder.join('node_modules/zod'));
    const project = { name: 'outside', private: true, type: 'module' };
    await writeFile(folder.join('package.json'), JSON.stringify(project));
    return new OutsideProject(folder);
  }

  path(name: string): string {
    return this.#folder.join(name);
  }

  async write(name: string, content: string): Promise<void> {
    await writeFile(this.#folder.join(name), content);
  }

  /** A folder for PATH with commands of these names alone, which do nothing. */
  async folderOfCommands(names: readonly string[]): Promise<string> {
    const path = this.#folder.join('commands');
    await mkdir(path);
    for (const name of names) await symlink('/bin/true', join(path, name));
    return path;
  }

  /** Compiles all of the project against the package's types. @throws with the compiler's words */
  async checkTypes(): Promise<void> {
    const compilerOptions = {
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      typeRoots: [join(CHECKOUT, 'node_modules', '@types')],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    };
    await this.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    await run(process.execPath, [COMPILER, '-p', this.#folder.path]).catch((error: unknown) => {
      throw error instanceof Error && 'stdout' in error ? new Error(String(error.stdout), { cause: error }) : error;
    });
  }

  /** @returns what it prints */
  async run(name: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const options = { cwd: this.#folder.path, env: { ...process.env, ...env } };
    const { stdout } = await run(process.execPath, [name], options);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
