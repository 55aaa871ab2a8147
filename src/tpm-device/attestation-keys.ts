import { readFile } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';
import type { AkTemplateName } from '../tpm/ak-templates.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import { type EkAlgorithm, type EndorsementKey, loadEndorsementKey } from './endorsement.ts';

const MAX_AUTH_BYTES = 64;

export interface AttestationKeysOptions {
  readonly ek: EkAlgorithm;
  readonly ak: AkTemplateName;
  /** A file whose bytes, without a line end, authorize the endorsement hierarchy. */
  readonly endorsementAuthPath?: string | undefined;
}

/** The two keys of an attestation. Disposing flushes them. */
export class AttestationKeys implements AsyncDisposable {
  readonly ek: EndorsementKey;
  readonly ak: TpmKey;

  private constructor(ek: EndorsementKey, ak: TpmKey) {
    this.ek = ek;
    this.ak = ak;
  }

  static async load(
    tpm: TpmDevice,
    { ek: algorithm, ak, endorsementAuthPath }: AttestationKeysOptions,
  ): Promise<AttestationKeys> {
    if (endorsementAuthPath !== undefined) await authorizeEndorsement(tpm, endorsementAuthPath);
    const ek = await loadEndorsementKey(tpm, algorithm);
    try {
      return new AttestationKeys(ek, await tpm.createAk(ek.key, ek.template, ak));
    } catch (error) {
      await ek.key[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ak[Symbol.asyncDispose]();
    await this.ek.key[Symbol.asyncDispose]();
  }
}

async function authorizeEndorsement(tpm: TpmDevice, path: string): Promise<void> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new SpiffeError('FILE_UNUSABLE', 'cannot read the file that "endorsement_auth_path" names', { cause });
  });
  try {
    const length = content.at(-1) === 0x0a ? content.length - 1 : content.length;
    if (length > MAX_AUTH_BYTES) {
      throw new SpiffeError(
        'FILE_UNUSABLE',
        `the file that "endorsement_auth_path" names has ${length} bytes, a TPM takes at most ${MAX_AUTH_BYTES}`,
      );
    }
    await tpm.setEndorsementAuth(content.subarray(0, length));
  } finally {
    content.fill(0);
  }
}
