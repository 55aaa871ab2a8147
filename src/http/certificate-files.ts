import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from '../log/logger.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

/** A certificate with its key, and whoever may sign certificates of clients. */
export interface FileIdentity {
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  /** PEM; undefined where clients need no certificate. */
  readonly clientCas: string | undefined;
}

export interface CertificateFilesOptions {
  /** What shows the certificate, such as `the metrics endpoint`. */
  readonly what: string;
  /** The block of the configuration that names the files, and its keys. */
  readonly setting: string;
  readonly keys?: FileKeys;
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string | undefined;
  /** How often the files are looked at. */
  readonly intervalMs?: number;
  readonly log: Logger;
}

export interface FileKeys {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
}

const DEFAULT_KEYS = { certFile: 'cert_file', keyFile: 'key_file', clientCaFile: 'client_ca_file' };
const INTERVAL_MS = 5_000;

/** PEM files that are read again when they change. What cannot be used then is logged, and the last goes on. */
export class CertificateFiles implements Disposable {
  readonly #options: CertificateFilesOptions;
  readonly #listeners = new Set<(identity: FileIdentity) => void>();
  readonly #timer: NodeJS.Timeout;
  #current: FileIdentity;
  #version: string;
  #lastProblem: string | undefined;

  private constructor(options: CertificateFilesOptions, version: string, current: FileIdentity) {
    this.#options = options;
    this.#version = version;
    this.#current = current;
    this.#timer = setInterval(() => void this.#look(), options.intervalMs ?? INTERVAL_MS).unref();
  }

  /** @throws SpiffeError `CONFIG_INVALID`, naming the file */
  static async open(options: CertificateFilesOptions): Promise<CertificateFiles> {
    const version = await versionOf(options); // before reading: a change in between is seen later
    return new CertificateFiles(options, version, await read(options));
  }

  get current(): FileIdentity {
    return this.#current;
  }

  subscribe(listener: (identity: FileIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { what, certFile, log } = this.#options;
    try {
      const version = await versionOf(this.#options);
      if (version === this.#version) return;
      const identity = await read(this.#options);
      for (const listener of this.#listeners) listener(identity);
      this.#current = identity;
      this.#version = version;
      this.#lastProblem = undefined;
      log.info(`the certificate of ${what} was read again`, { cert_file: certFile });
    } catch (error) {
      const reason = messageOf(error);
      if (reason === this.#lastProblem) return;
      this.#lastProblem = reason;
      log.warning(`${what} goes on with its last certificate`, { reason });
    }
  }
}

/** Another text once one of the files is another. */
async function versionOf({ certFile, keyFile, clientCaFile }: CertificateFilesOptions): Promise<string> {
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  const versions = paths.map(async (path) => {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path).catch(() => ({ ino: 0, size: 0, mtimeMs: 0, ctimeMs: 0 }));
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  });
  return (await Promise.all(versions)).join(', ');
}

async function read(options: CertificateFilesOptions): Promise<FileIdentity> {
  const { certFile, keyFile, clientCaFile, setting } = options;
  const keys = { ...DEFAULT_KEYS, ...options.keys };
  const certificates = await parse(`${setting}.${keys.certFile}`, certFile, 'certificates', certificatesIn);
  const privateKey = await parse(`${setting}.${keys.keyFile}`, keyFile, 'a private key', createPrivateKey);
  const [leaf] = certificates;
  if (leaf?.checkPrivateKey(privateKey) !== true) {
    throw problem(
      `${setting}.${keys.keyFile}`,
      `the key in ${keyFile} is not that of the first certificate in ${certFile}`,
    );
  }
  const clientCaKey = `${setting}.${keys.clientCaFile}`;
  if (clientCaFile !== undefined) await parse(clientCaKey, clientCaFile, 'certificates', certificatesIn);
  const clientCas = clientCaFile === undefined ? undefined : await readText(clientCaKey, clientCaFile);
  return { certificates: certificates.map(({ raw }) => new Uint8Array(raw)), privateKey, clientCas };
}

async function parse<T>(key: string, path: string, wanted: string, parseText: (text: string) => T): Promise<T> {
  const text = await readText(key, path);
  try {
    return parseText(text);
  } catch (cause) {
    throw problem(key, `${path} does not hold ${wanted} in PEM`, cause); // OpenSSL's words could quote the file
  }
}

async function readText(key: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw problem(key, messageOf(cause), cause);
  }
}

function certificatesIn(text: string): readonly X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new SpiffeError('CERTIFICATE_INVALID', 'there is no certificate');
  return blocks.map((block) => new X509Certificate(block));
}

function problem(key: string, message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', `${key}: ${message}`, { cause });
}
