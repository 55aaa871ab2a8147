import { writeFileSync } from 'node:fs';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { SoftwareProver } from '../../test/harness/software-prover.ts';
import { type RecordedBoot, recordedBoot } from '../evidence/recorded-evidence.ts';

/** Which key an endorsement certificate is for: what the TPM does with it costs the prover, not the server. */
export type ProverEk = 'rsa-2048' | 'ec-p256';

const TEMPLATES = { 'rsa-2048': 'L-1', 'ec-p256': 'L-2' } as const;

/** TPMs whose EK and AK are OpenSSL keys, each with an endorsement certificate of one CA; one for each caller. */
export class TpmPool {
  readonly #authority = EkAuthority.root({ name: 'Bench TPM root' });
  readonly #tpms = new Map<string, { readonly tpm: SoftwareTpm; readonly certificates: readonly Uint8Array[] }>();
  #boot: RecordedBoot | undefined;

  /** Writes the CA that a server has to trust, as PEM. */
  writeCa(path: string): void {
    writeFileSync(path, encodePem('CERTIFICATE', this.#authority.certificate.der));
  }

  /** The `index`th TPM of that kind, for one attestation with a CSR for `csrPublicKey`. */
  prover(ek: ProverEk, index: number, csrPublicKey: Uint8Array): SoftwareProver {
    const { tpm, certificates } = this.#hold(`${ek} ${index}`, ek);
    return new SoftwareProver(tpm, csrPublicKey, certificates);
  }

  /** The same of a machine with the recorded boot, and its event log. */
  measured(index: number, csrPublicKey: Uint8Array): SoftwareProver {
    this.#boot ??= recordedBoot(0);
    const { eventLog, pcrs } = this.#boot;
    const { tpm, certificates } = this.#hold(`measured ${index}`, 'ec-p256');
    for (const [pcr, value] of pcrs) tpm.setPcr('sha256', pcr, value);
    return new SoftwareProver(tpm, csrPublicKey, certificates, { event: eventLog });
  }

  #hold(name: string, ek: ProverEk) {
    let held = this.#tpms.get(name);
    if (held === undefined) {
      const tpm = new SoftwareTpm({ ek: TEMPLATES[ek] });
      held = { tpm, certificates: [this.#authority.issueEkCertificate(tpm.ekSpki)] };
      this.#tpms.set(name, held);
    }
    return held;
  }
}
