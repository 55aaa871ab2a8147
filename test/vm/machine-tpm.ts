import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { manufactureSwtpm } from '../../src/testing/manufacture-swtpm.ts';
import { requireCommand } from '../../src/testing/required-tools.ts';
import { eventually } from '../harness/eventually.ts';
import { spawnWithUs } from './spawn-with-us.ts';

/** The TPM of a virtual machine, which stays the same from boot to boot. */
export class MachineTpm {
  /** PEM: the root and the CA that issued the EK certificates. */
  readonly caPath: string;
  /** QEMU connects to it, once a boot. */
  readonly socketPath: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.caPath = join(folder, 'ca.pem');
    this.socketPath = join(folder, 'ctrl');
  }

  /** @param folder of its own, made here; its path is to be short, for there is a socket in it */
  static async manufacture(folder: string): Promise<MachineTpm> {
    await mkdir(folder);
    await manufactureSwtpm(folder, 'sha256');
    return new MachineTpm(folder);
  }

  /** For one boot: it ends by itself once the machine has. */
  async switchOn(): Promise<RunningTpm> {
    await rm(this.socketPath, { force: true }); // of the boot before
    const child = spawnWithUs(requireCommand('swtpm', 'swtpm'), [
      ...['socket', '--tpm2', '--tpmstate', `dir=${join(this.#folder, 'state')}`],
      ...['--ctrl', `type=unixio,path=${this.socketPath}`, '--terminate'],
    ]);
    const tpm = new RunningTpm(child);
    try {
      await eventually(() => {
        if (!existsSync(this.socketPath)) throw new Error(`swtpm does not listen: ${tpm.errors}`);
      });
      return tpm;
    } catch (error) {
      await tpm[Symbol.asyncDispose]();
      throw error;
    }
  }
}

class RunningTpm implements AsyncDisposable {
  errors = '';
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
  }

  /** Waits a moment for it to write its state, then insists. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const insist = setTimeout(() => this.#child.kill('SIGTERM'), 5000);
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await exited.finally(() => [insist, force].forEach(clearTimeout));
  }
}
