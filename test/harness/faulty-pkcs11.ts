import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('./faulty-pkcs11.c', import.meta.url));

/** In the order of the file. */
const FUNCTIONS = [
  'C_Initialize',
  'C_Finalize',
  'C_GetSlotList',
  'C_GetTokenInfo',
  'C_OpenSession',
  'C_Login',
  'C_FindObjectsInit',
  'C_GenerateKeyPair',
  'C_DestroyObject',
  'C_SignInit',
  'C_Sign',
] as const;
export type FaultyFunction = (typeof FUNCTIONS)[number];

const RECORD_BYTES = 24;
/** Where in a record; each has four bytes. */
const FIELD = { failures: 0, returned: 4, delayMs: 8, calls: 12, inFlight: 16, mostInFlight: 20 } as const;

/** A PKCS#11 module in front of another: it does what the test says, and counts what it is asked. */
export class FaultyPkcs11 implements Disposable {
  readonly modulePath: string;
  /** For every process that loads it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #file: number;

  private constructor(modulePath: string, behind: string, faultsPath: string) {
    this.modulePath = modulePath;
    this.environment = { ASSAYER_PKCS11_BEHIND: behind, ASSAYER_PKCS11_FAULTS: faultsPath };
    writeFileSync(faultsPath, Buffer.alloc(FUNCTIONS.length * RECORD_BYTES), { mode: 0o600 });
    this.#file = openSync(faultsPath, 'r+');
  }

  /** @param folder where it is built. @param behind the path of the real module */
  static async build(folder: string, behind: string): Promise<FaultyPkcs11> {
    const path = await buildFaultyPkcs11(folder);
    return new FaultyPkcs11(path, behind, join(folder, 'pkcs11-faults'));
  }

  /** The next `times` calls of a function return this instead, without reaching the module behind. */
  fail(name: FaultyFunction, returned: number, times = 1): void {
    this.#write(name, 'returned', returned);
    this.#write(name, 'failures', times);
  }

  /** Every call takes so much longer. */
  delay(name: FaultyFunction, milliseconds: number): void {
    this.#write(name, 'delayMs', milliseconds);
  }

  /** How often a function was called. */
  calls(name: FaultyFunction): number {
    return this.#read(name, 'calls');
  }

  /** How many calls of a function are in flight. */
  inFlight(name: FaultyFunction): number {
    return this.#read(name, 'inFlight');
  }

  /** How many calls of a function were in flight at once, at most. */
  mostInFlight(name: FaultyFunction): number {
    return this.#read(name, 'mostInFlight');
  }

  reset(): void {
    writeSync(this.#file, Buffer.alloc(FUNCTIONS.length * RECORD_BYTES), 0, undefined, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #write(name: FaultyFunction, field: keyof typeof FIELD, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    writeSync(this.#file, bytes, 0, 4, this.#at(name, field));
  }

  #read(name: FaultyFunction, field: keyof typeof FIELD): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#file, bytes, 0, 4, this.#at(name, field));
    return bytes.readUInt32LE();
  }

  #at(name: FaultyFunction, field: keyof typeof FIELD): number {
    return FUNCTIONS.indexOf(name) * RECORD_BYTES + FIELD[field];
  }
}

/** @returns the path of the module */
export async function buildFaultyPkcs11(folder: string): Promise<string> {
  const require = createRequire(import.meta.url);
  const headers = join(dirname(require.resolve('pkcs11js/package.json')), 'includes');
  const output = join(folder, 'faulty-pkcs11.so');
  const flags = ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden'];
  await run('cc', [...flags, '-isystem', headers, SOURCE, '-o', output]);
  return output;
}
