import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolders } from '../files/make-folders.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import type { FileIdentity } from '../http/certificate-files.ts';

/** A certificate with its key, as a CA issued it. */
export interface AcmeCertificate {
  readonly identity: FileIdentity;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const accountFile = z.object({ directoryUrl: z.string(), privateKey: z.string() });
const certificateFile = z.object({ directoryUrl: z.string(), privateKey: z.string(), certificates: z.string() });

/** The account and the certificate of an ACME server, in files that nobody else may read. */
export class AcmeFiles {
  readonly #folder: string | undefined;
  readonly #directoryUrl: string;

  /** @param folder undefined: nothing is kept. @param directoryUrl what is of another ACME server is not found */
  constructor(folder: string | undefined, directoryUrl: string) {
    this.#folder = folder;
    this.#directoryUrl = directoryUrl;
  }

  /** PEM. */
  async findAccountKey(): Promise<string | undefined> {
    return (await this.#read('account.json', accountFile))?.privateKey;
  }

  async writeAccountKey(privateKey: string): Promise<void> {
    await this.#write('account.json', { directoryUrl: this.#directoryUrl, privateKey });
  }

  /** What is no certificate for all of the names is none. */
  async findCertificate(domainNames: readonly string[]): Promise<AcmeCertificate | undefined> {
    const found = await this.#read('certificate.json', certificateFile);
    try {
      return found && toAcmeCertificate(found.certificates, found.privateKey, domainNames);
    } catch {
      return undefined;
    }
  }

  /** @param certificates PEM, leaf first. @param privateKey PEM */
  async writeCertificate(certificates: string, privateKey: string): Promise<void> {
    await this.#write('certificate.json', { directoryUrl: this.#directoryUrl, privateKey, certificates });
  }

  async #read<T extends { directoryUrl: string }>(name: string, shape: z.ZodType<T>): Promise<T | undefined> {
    if (this.#folder === undefined) return undefined;
    const text = await readFile(join(this.#folder, name), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    const found = shape.safeParse(parseJson(text));
    return found.success && found.data.directoryUrl === this.#directoryUrl ? found.data : undefined;
  }

  async #write(name: string, content: object): Promise<void> {
    if (this.#folder === undefined) return;
    await makeFolders(this.#folder, 0o700);
    await writeFileAtomically(join(this.#folder, name), `${JSON.stringify(content, null, 2)}\n`, 0o600);
  }
}

/** @throws Error for what is no certificate for the names, or not of the key */
export function toAcmeCertificate(
  certificates: string,
  privateKey: string,
  domainNames: readonly string[],
): AcmeCertificate {
  const blocks = certificates.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((block) => new X509Certificate(block));
  const [leaf] = chain;
  const key = createPrivateKey(privateKey);
  if (leaf === undefined) throw new Error('it has no certificate');
  if (!leaf.checkPrivateKey(key)) throw new Error('its certificate is for another key');
  const missing = domainNames.find((name) => leaf.checkHost(name) === undefined);
  if (missing !== undefined) throw new Error(`its certificate is not for "${missing}"`);
  return {
    identity: {
      certificates: chain.map(({ raw }) => new Uint8Array(raw)),
      privateKey: key,
      clientCas: undefined,
    },
    notBefore: new Date(leaf.validFrom),
    notAfter: new Date(leaf.validTo),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
