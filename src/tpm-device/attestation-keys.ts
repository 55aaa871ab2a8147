import type { AkTemplateName } from '../tpm/ak-templates.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import { type EkAlgorithm, type EndorsementKey, loadEndorsementKey } from './endorsement.ts';
import { useAuthorization } from './use-authorization.ts';

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
    if (endorsementAuthPath !== undefined) {
      await useAuthorization('endorsement_auth_path', endorsementAuthPath, (auth) => tpm.setEndorsementAuth(auth));
    }
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
