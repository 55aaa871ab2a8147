import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { requireCommand } from '../../src/testing/required-tools.ts';
import { GuestPort } from './guest-port.ts';
import type { MachineTpm } from './machine-tpm.ts';
import { spawnWithUs } from './spawn-with-us.ts';

const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const FIRMWARE_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';
/** Of a machine whose every instruction is emulated, while others do the same: 15 s where nothing else runs. */
const BOOT_MS = 480_000;
const COMMAND_MS = 240_000;
const POWER_OFF_MS = 60_000;
const CONSOLE_LINES = 30;

export interface MachineOptions {
  /** For messages. */
  readonly name: string;
  /** For its files, made here. */
  readonly folder: string;
  readonly tpm: MachineTpm;
  /** A kernel with an EFI stub. */
  readonly kernel: string;
  readonly initramfs: string;
  /** An ext4 file system; several machines may have one. */
  readonly disk: string;
  readonly commandLine: string;
}

/** What a script did. */
export interface ScriptResult {
  readonly output: Buffer;
  readonly errors: string;
  readonly exitCode: number;
}

/**
 * A virtual machine that has booted: firmware, kernel, initramfs and disk, each measured into its TPM. The host is 10.0.2.2 to it, and
 * there is nothing else on its network.
 */
export class Machine implements AsyncDisposable {
  readonly name: string;
  readonly #qemu: ChildProcess;
  readonly #port: GuestPort;
  readonly #consolePath: string;
  readonly #resources: AsyncDisposableStack;
  /** Rejected once QEMU has ended. */
  readonly #ended: Promise<never>;
  #errors = '';

  private constructor(
    name: string,
    qemu: ChildProcess,
    port: GuestPort,
    consolePath: string,
    resources: AsyncDisposableStack,
  ) {
    this.name = name;
    this.#qemu = qemu;
    this.#port = port;
    this.#consolePath = consolePath;
    this.#resources = resources;
    this.#ended = once(qemu, 'exit').then(([code, signal]) => {
      throw new Error(`it ended with ${signal ?? `code ${code}`}`);
    });
    this.#ended.catch(() => {});
    qemu.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
  }

  /** @throws Error with the last lines of its console, where it has not booted in {@link BOOT_MS} */
  static async boot(options: MachineOptions): Promise<Machine> {
    const start = performance.now();
    await using resources = new AsyncDisposableStack();
    await mkdir(options.folder);
    const variables = join(options.folder, 'variables');
    await copyFile(FIRMWARE_VARIABLES, variables);
    resources.use(await options.tpm.switchOn());
    const portPath = join(options.folder, 'port');
    const port = resources.use(await GuestPort.listen(portPath));
    const consolePath = join(options.folder, 'console');
    const command = requireCommand('qemu-system-x86_64', 'qemu-system-x86');
    const args = qemuArguments(options, { variables, portPath, consolePath });
    const qemu = spawnWithUs(command, args);
    const machine = new Machine(options.name, qemu, port, consolePath, resources.move());
    try {
      await machine.#answer('to boot', BOOT_MS, port.line());
      machine.report(`booted in ${seconds(performance.now() - start)}`);
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a script of busybox's shell. @throws Error where it does not end in time */
  async tryRun(script: string, limitMs = COMMAND_MS): Promise<ScriptResult> {
    const what = `to run ${JSON.stringify(script.slice(0, 60))}`;
    this.#port.write(Buffer.from(script).toString('base64'));
    const next = () => this.#answer(what, limitMs, this.#port.line());
    const [output, errors, exitCode] = [await next(), await next(), await next()];
    return {
      output: Buffer.from(output, 'base64'),
      errors: Buffer.from(errors, 'base64').toString(),
      exitCode: Number(exitCode),
    };
  }

  /** The same for a script that has to succeed. @returns what it printed. */
  async run(script: string, limitMs?: number): Promise<Buffer> {
    const { output, errors, exitCode } = await this.tryRun(script, limitMs);
    if (exitCode === 0) return output;
    throw new Error(`${this.name}: "${script}" ended with code ${exitCode}: ${errors}${output}`);
  }

  async writeFile(path: string, text: string): Promise<void> {
    await this.run(`echo ${Buffer.from(text).toString('base64')} | base64 -d >${path}`);
  }

  /** Tells whoever waits at the terminal. */
  report(what: string): void {
    process.stderr.write(`vm: ${this.name} ${what}\n`);
  }

  /** Orderly, so that the TPM is told: otherwise its clock is not safe when it starts again. */
  async powerOff(): Promise<void> {
    this.#port.end();
    if (!this.#hasEnded) await this.#withLimit('to power off', POWER_OFF_MS, once(this.#qemu, 'exit'));
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) {
      const exited = once(this.#qemu, 'exit');
      this.#qemu.kill('SIGKILL');
      await exited;
    }
    await this.#resources.disposeAsync();
  }

  get #hasEnded(): boolean {
    return this.#qemu.exitCode !== null || this.#qemu.signalCode !== null;
  }

  async #answer(what: string, limitMs: number, line: Promise<string>): Promise<string> {
    return await this.#withLimit(what, limitMs, Promise.race([line, this.#ended]));
  }

  async #withLimit<T>(what: string, limitMs: number, done: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`it took more than ${seconds(limitMs)}`)), limitMs);
    try {
      return await Promise.race([done, promise]);
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.name} was ${what}, and ${told}\n${this.#errors}${await this.#consoleEnd()}`);
    } finally {
      clearTimeout(timer);
    }
  }

  async #consoleEnd(): Promise<string> {
    const text = await readFile(this.#consolePath, 'latin1').catch(() => 'nothing');
    // The firmware moves its cursor about.
    const lines = stripVTControlCharacters(text).split(/[\r\n]+/);
    return `the last lines of its console:\n${lines.slice(-CONSOLE_LINES).join('\n')}`;
  }
}

interface MachineFiles {
  readonly variables: string;
  readonly portPath: string;
  readonly consolePath: string;
}

/** Hardware virtualisation is not asked for: where machines are virtual themselves, it cannot start UEFI. */
function qemuArguments(options: MachineOptions, { variables, portPath, consolePath }: MachineFiles): readonly string[] {
  const { tpm, kernel, initramfs, disk, commandLine } = options;
  return [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '512'],
    ...['-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
    ...['-chardev', `socket,id=tpm,path=${tpm.socketPath}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm0'],
    ...['-kernel', kernel, '-initrd', initramfs, '-append', commandLine],
    ...['-drive', `if=none,id=disk,format=raw,readonly=on,file=${disk}`, '-device', 'virtio-blk-pci,drive=disk'],
    // Without its option ROM, which would try to boot from the network.
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-chardev', `socket,id=port,path=${portPath}`, '-device', 'virtio-serial-pci,max_ports=2'],
    ...['-device', 'virtserialport,chardev=port,nr=1'],
    ...['-serial', `file:${consolePath}`],
  ];
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
