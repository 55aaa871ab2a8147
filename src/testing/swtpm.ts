import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SpiffeError } from '../spiffe/error.ts';
import { isReplayedBank, type ReplayedBank } from '../tpm/event-log/replay.ts';
import { manufactureSwtpm } from './manufacture-swtpm.ts';
import { type Boot, playBoot, type RecordedBoot, readRecordedBoot, requireBanks, shutDown } from './recorded-boot.ts';
import { removedAfterUs } from './removed-after-us.ts';
import { findCommand, requireCommand, requireLibrary } from './required-tools.ts';
import { SwtpmChannel } from './swtpm-channel.ts';

const run = promisify(execFile);
const POLL_MS = 10;
const START_MS = 10_000;
const EK_NV_INDEX = { 'rsa-2048': '0x01c00002', 'ec-p256': '0x01c0000a', 'ec-p384': '0x01c00016' } as const;

export type SwtpmEk = 'rsa-2048' | 'ec-p256' | 'ec-p384';

export interface SwtpmOptions extends RecordedBoot {
  /** The endorsement keys that get a certificate, RSA-2048 by default: RSA and P-384 ones come from swtpm_setup, a P-256 one from the TPM's own CA. */
  readonly ek?: readonly SwtpmEk[];
  /** Such as `sha256,sha384`: those of the event log by default, and `sha256` without one. */
  readonly pcrBanks?: string;
}

/**
 * A software TPM with endorsement certificates of a CA of its own, manufactured and running, on Unix sockets in a folder
 * that goes with it. As many as you like at once. It serves one client at a time, as swtpm does.
 */
export class Swtpm implements AsyncDisposable {
  /** For tpm2-tss: `swtpm:path=…`. */
  readonly tcti: string;
  readonly folder: string;
  /** PEM, the root and the CA that issued the EK certificates. */
  readonly caPath: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  /** PCR banks that are allocated. */
  readonly banks: readonly ReplayedBank[];
  readonly #keptFolder: AsyncDisposable;
  #isStarted = false;

  private constructor(folder: string, process: ChildProcess, pid: number, made: MadeFolder) {
    this.folder = folder;
    this.tcti = `swtpm:path=${join(folder, 'tpm')}`;
    this.caPath = join(folder, 'ca.pem');
    this.#process = process;
    this.pid = pid;
    this.banks = made.banks;
    this.#keptFolder = made.kept;
  }

  /**
   * With a recorded boot, the TPM is in the state that the machine's was in.
   *
   * @throws SpiffeError `FAILED_PRECONDITION` where a package is missing, `TPM_UNAVAILABLE` where swtpm does not start,
   * `ARGUMENT_INVALID` for banks that there are not, and what {@link boot} throws
   */
  static async start({ ek = ['rsa-2048'], pcrBanks, ...recorded }: SwtpmOptions = {}): Promise<Swtpm> {
    requireTools();
    const boot = readRecordedBoot(recorded);
    const banks = readBanks(pcrBanks ?? (boot.banks ?? ['sha256']).join(','));
    requireBanks(boot, banks);
    const folder = await mkdtemp(join(tmpdir(), 'swtpm-'));
    const kept = removedAfterUs(folder);
    try {
      await manufactureSwtpm(folder, banks.join(','));
      const tpm = await Swtpm.#spawn(folder, { banks, kept });
      try {
        await tpm.#play(boot);
        for (const unwanted of (['rsa-2048', 'ec-p384'] as const).filter((name) => !ek.includes(name))) {
          await tpm.removeNv(EK_NV_INDEX[unwanted]);
        }
        if (ek.includes('ec-p256')) await tpm.#installP256Certificate();
        return tpm;
      } catch (error) {
        await tpm[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      await kept[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #spawn(folder: string, made: MadeFolder): Promise<Swtpm> {
    const socket = join(folder, 'tpm');
    const [command = '', ...args] = [
      ...endsWithUs(),
      requireCommand('swtpm', 'swtpm'),
      ...['socket', '--tpm2', '--tpmstate', `dir=${join(folder, 'state')}`, '--flags', 'not-need-init,startup-none'],
      // tpm2-tss looks for the control channel beside the other, with this suffix.
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
    ];
    // In a session of its own: an interrupt from the keyboard is for whoever owns this TPM.
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const deadline = performance.now() + START_MS;
    for (const path of [socket, `${socket}.ctrl`]) {
      while (!(await isSocket(path))) {
        if (child.exitCode !== null) throw unusable(`ended with ${child.exitCode}: ${errors}`);
        if (performance.now() > deadline) {
          child.kill('SIGKILL');
          throw unusable(`did not listen within ${START_MS} ms: ${errors}`);
        }
        await wait(POLL_MS);
      }
    }
    if (child.pid === undefined) throw unusable('has no process id');
    return new Swtpm(folder, child, child.pid, made);
  }

  /**
   * Boots the machine that this TPM is in: the TPM is reset, counts that, and takes what the recorded boot measured.
   *
   * @throws SpiffeError `ATTESTATION_DENIED`, `TPM_DATA_INVALID` for logs that cannot be read; `ARGUMENT_INVALID` for an event
   * log without one of the TPM's banks, or of a boot that an H-CRTM began
   */
  async boot(recorded: RecordedBoot = {}): Promise<void> {
    const boot = readRecordedBoot(recorded);
    requireBanks(boot, this.banks);
    await this.#play(boot);
  }

  async #play(boot: Boot): Promise<void> {
    await using channel = await SwtpmChannel.open(join(this.folder, 'tpm'));
    if (this.#isStarted) await shutDown(channel);
    this.#isStarted = false;
    await channel.initialize();
    await playBoot(channel, boot, this.banks);
    this.#isStarted = true;
  }

  /** Runs one of tpm2-tools on this TPM, in its folder. */
  async tools(command: string, ...args: readonly string[]): Promise<string> {
    const environment = { ...process.env, TPM2TOOLS_TCTI: this.tcti, TSS2_LOG: 'all+NONE' };
    const { stdout } = await run(requireCommand(command, 'tpm2-tools'), [...args], {
      cwd: this.folder,
      env: environment,
    });
    return stdout;
  }

  /** A file that a tool wrote. */
  read(name: string): Promise<Uint8Array> {
    return readFile(join(this.folder, name));
  }

  async write(name: string, content: Uint8Array): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, content);
    return path;
  }

  /** The handles that `tpm2_getcap handles-<type>` prints. */
  async handles(type: 'transient' | 'loaded-session' | 'saved-session' | 'persistent'): Promise<readonly string[]> {
    return [...(await this.tools('tpm2_getcap', `handles-${type}`)).matchAll(/0x[0-9A-F]+/gi)].map(
      ([handle]) => handle,
    );
  }

  /** Defines an NV index that everybody may read, as a vendor does for EK certificates, and fills it. */
  async writeNv(index: string, content: Uint8Array): Promise<void> {
    const path = await this.write(`nv-${index}`, content);
    const attributes = 'ppwrite|writedefine|ppread|ownerread|authread|no_da|platformcreate';
    await this.tools('tpm2_nvdefine', index, '-C', 'p', '-s', String(content.length), '-a', attributes);
    await this.tools('tpm2_nvwrite', index, '-C', 'p', '-i', path);
  }

  async removeNv(index: string): Promise<void> {
    await this.tools('tpm2_nvundefine', index, '-C', 'p');
  }

  /** swtpm makes no P-256 EK certificate: one is issued here for the key of template L-2. */
  async #installP256Certificate(): Promise<void> {
    await this.tools('tpm2_createek', '-G', 'ecc', '-c', 'ek-p256.ctx', '-u', 'ek-p256.pem', '-f', 'pem');
    await this.tools('tpm2_flushcontext', '-t');
    await this.writeNv(EK_NV_INDEX['ec-p256'], await issueEkCertificate(this.folder, 'ek-p256.pem'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      const insist = setTimeout(() => this.#process.kill('SIGKILL'), 2000);
      await exited.finally(() => clearTimeout(insist));
    }
    await this.#keptFolder[Symbol.asyncDispose]();
  }
}

/** @see Swtpm */
export function startSwtpm(options: SwtpmOptions = {}): Promise<Swtpm> {
  return Swtpm.start(options);
}

interface MadeFolder {
  readonly banks: readonly ReplayedBank[];
  readonly kept: AsyncDisposable;
}

/** Has a command killed together with this process, where util-linux is there for that. */
function endsWithUs(): readonly string[] {
  const setpriv = findCommand('setpriv');
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--'];
}

function readBanks(text: string): readonly ReplayedBank[] {
  return text.split(',').map((name) => {
    if (isReplayedBank(name)) return name;
    throw new SpiffeError('ARGUMENT_INVALID', `${JSON.stringify(name)} is no PCR bank: sha1, sha256, sha384 or sha512`);
  });
}

/** All that a start may need, before anything is made. */
function requireTools(): void {
  requireCommand('swtpm', 'swtpm');
  requireCommand('swtpm_setup', 'swtpm-tools');
  requireCommand('tpm2_getcap', 'tpm2-tools');
  requireCommand('openssl', 'openssl');
  requireLibrary('libtss2-tcti-swtpm.so.0', 'libtss2-tcti-swtpm0');
}

function unusable(what: string): SpiffeError {
  return new SpiffeError('TPM_UNAVAILABLE', `swtpm ${what.trim().replaceAll('\n', ', ')}`);
}

/** An EK certificate like swtpm's, by the same CA, for a public key in PEM. */
async function issueEkCertificate(folder: string, publicKey: string): Promise<Uint8Array> {
  const extensions = [
    'basicConstraints = critical,CA:FALSE',
    'keyUsage = critical,keyAgreement',
    'extendedKeyUsage = 2.23.133.8.1',
    'authorityKeyIdentifier = keyid',
    'subjectAltName = critical,dirName:tpm',
    '[tpm]', // OpenSSL drops what stands before the first dot of a name
    'manufacturer.2.23.133.2.1 = id:00001014',
    'model.2.23.133.2.2 = swtpm',
    'version.2.23.133.2.3 = id:20191023',
  ];
  await writeFile(join(folder, 'ek.ext'), lines(extensions));
  const issuer = ['-CA', 'ca/issuercert.pem', '-CAkey', 'ca/signkey.pem', '-set_serial', '4242'];
  const subject = ['-new', '-subj', '/CN=unknown', '-force_pubkey', publicKey];
  const output = ['-extfile', 'ek.ext', '-days', '3650', '-sha256', '-outform', 'DER', '-out', 'ek.der'];
  await run(requireCommand('openssl', 'openssl'), ['x509', ...subject, ...issuer, ...output], { cwd: folder });
  return readFile(join(folder, 'ek.der'));
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch {
    return false;
  }
}
