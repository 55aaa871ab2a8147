import type { DescribedFile } from '../gen/descriptors.ts';

/** The .proto files of what is served, found by name and by what they define. */
export class DescribedFiles {
  readonly #byName: ReadonlyMap<string, DescribedFile>;
  readonly #bySymbol: ReadonlyMap<string, DescribedFile>;

  private constructor(files: readonly DescribedFile[]) {
    this.#byName = new Map(files.map((file) => [file.name, file]));
    this.#bySymbol = new Map(files.flatMap((file) => file.symbols.map((symbol) => [symbol, file] as const)));
  }

  /** Loaded when somebody asks: few do. */
  static async load(): Promise<DescribedFiles> {
    const { DESCRIBED_FILES } = await import('../gen/descriptors.ts');
    return new DescribedFiles(DESCRIBED_FILES);
  }

  /** The file of this name, encoded, and after it what it imports. */
  byName(name: string): readonly Uint8Array[] | undefined {
    return this.#withImports(this.#byName.get(name));
  }

  /** @param symbol full name of a message, enumeration, service or method */
  bySymbol(symbol: string): readonly Uint8Array[] | undefined {
    return this.#withImports(this.#bySymbol.get(symbol));
  }

  #withImports(file: DescribedFile | undefined): readonly Uint8Array[] | undefined {
    if (file === undefined) return undefined;
    const found = new Set<DescribedFile>([file]);
    for (const { imports } of found) {
      for (const name of imports) {
        const imported = this.#byName.get(name);
        if (imported !== undefined) found.add(imported); // a set that grows is walked to its end
      }
    }
    return [...found].map(({ bytes }) => Buffer.from(bytes, 'base64'));
  }
}
