import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { SpiffeError } from '../spiffe/error.ts';
import { requireCommand, requireLibrary } from './required-tools.ts';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);
const MODULE = ['softhsm/libsofthsm2.so', 'libsofthsm2'] as const;
const TOOL = ['pkcs11-tool', 'opensc'] as const;

export interface SoftHsmOptions {
  /** 32 bytes at most. */
  readonly label?: string;
  /** 4 to 255 characters; made up where absent. */
  readonly pin?: string;
}

/**
 * A PKCS#11 token in software (SoftHSM 2), initialized, in a folder of its own. As many as you like at once: whoever loads the
 * module finds its token by the variable in {@link environment}.
 */
export class SoftHsmToken implements AsyncDisposable {
  /** The PKCS#11 module, a shared library. */
  readonly modulePath: string;
  readonly label: string;
  readonly pin: string;
  /** Of the security officer. */
  readonly soPin: string;
  /** The value of SOFTHSM2_CONF. */
  readonly configPath: string;
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder, parts: { modulePath: string; label: string; pin: string }) {
    this.#folder = folder;
    this.configPath = folder.join('softhsm2.conf');
    this.modulePath = parts.modulePath;
    this.label = parts.label;
    this.pin = parts.pin;
    this.soPin = makeUpPin();
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where a package is missing, or the tool refuses */
  static async create({ label = 'assayer', pin = makeUpPin() }: SoftHsmOptions = {}): Promise<SoftHsmToken> {
    const modulePath = requireLibrary(...MODULE);
    requireCommand(...TOOL);
    await using undo = new AsyncDisposableStack();
    const folder = undo.use(await createTemporaryFolder());
    const token = new SoftHsmToken(folder, { modulePath, label, pin });
    await mkdir(folder.join('tokens'), { mode: 0o700 });
    const lines = [
      `directories.tokendir = ${folder.join('tokens')}`,
      'objectstore.backend = file',
      'log.level = ERROR',
      'slots.removable = false',
    ];
    await writeFile(token.configPath, `${lines.join('\n')}\n`, { mode: 0o600 });
    // A new SoftHSM has one slot, which is not initialized.
    const officer = ['--so-pin', 'env:ASSAYER_SO_PIN'];
    await token.#runTool(['--slot-index', '0', '--init-token', '--label', label, ...officer]);
    const newPin = ['--init-pin', '--new-pin', 'env:ASSAYER_PIN'];
    await token.#runTool(['--token-label', label, '--login', '--login-type', 'so', ...officer, ...newPin]);
    undo.move();
    return token;
  }

  /** What a process that loads the module needs in its environment. */
  get environment(): Readonly<Record<string, string>> {
    return { SOFTHSM2_CONF: this.configPath };
  }

  /** Runs `pkcs11-tool` on this token, logged in as its user. @returns what it prints */
  async tool(...args: readonly string[]): Promise<string> {
    return await this.#runTool(['--token-label', this.label, '--login', '--pin', 'env:ASSAYER_PIN', ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }

  /** The PINs go by the environment: arguments can be read by everybody. */
  async #runTool(args: readonly string[]): Promise<string> {
    const env = { ...process.env, ...this.environment, ASSAYER_PIN: this.pin, ASSAYER_SO_PIN: this.soPin };
    try {
      const { stdout } = await run(requireCommand(...TOOL), ['--module', this.modulePath, ...args], { env });
      return stdout;
    } catch (cause) {
      if (cause instanceof SpiffeError) throw cause;
      const reason = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : String(cause);
      const message = `pkcs11-tool ${args.join(' ')} failed: ${reason.trim().replaceAll('\n', ', ')}`;
      throw new SpiffeError('FAILED_PRECONDITION', message, { cause });
    }
  }
}

function makeUpPin(): string {
  return String(randomInt(10_000_000, 100_000_000));
}
