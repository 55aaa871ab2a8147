import { generateKeyPairSync } from 'node:crypto';
import type { Logger } from '../../log/logger.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { serverId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { validateX509Svid } from '../../spiffe/x509-svid.ts';
import { issueCaCertificate } from '../../x509/ca-template.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { type DistinguishedName, encodeName } from '../../x509/name.ts';
import { decimalSerialNumber, randomSerialNumber } from '../../x509/serial-number.ts';
import type { KeyType } from '../../x509/signer.ts';
import { issueX509Svid } from '../../x509/svid-template.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { MemoryKeys } from './memory-keys.ts';
import { BACKDATE_SECONDS, type X509SigningAuthority } from './x509-authorities.ts';

export interface IntermediateCaOptions {
  readonly trustDomain: TrustDomain;
  readonly keyType: KeyType;
  readonly ttlSeconds: number;
  /** Of the CA above. */
  readonly subject: DistinguishedName;
  readonly bundle: Pick<BundleKeeper, 'current'>;
  readonly log: Logger;
  readonly clock: () => Date;
}

interface Intermediate {
  /** DER: another CA may have the same ID, which a PKI above gives it. */
  readonly parent: Uint8Array;
  readonly authority: X509SigningAuthority;
  readonly madeAt: number;
  readonly renewAt: number;
}

const ORGANIZATIONAL_UNIT = 'INTERMEDIATE';

/**
 * Signs SVIDs below the CA with a key that lives in this process alone: the CA's own, in the key manager, signs one certificate
 * for it every now and then. Renewed at half of its life, and with every CA that takes over.
 */
export class IntermediateCa {
  readonly #options: IntermediateCaOptions;
  /** By the authority above: the one that is about to take over has its own before it does. */
  readonly #byParent = new Map<string, Intermediate>();

  constructor(options: IntermediateCaOptions) {
    this.#options = options;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where none could be made in time. */
  below(parent: X509SigningAuthority): X509SigningAuthority {
    const intermediate = this.#byParent.get(parent.authorityId);
    if (intermediate !== undefined && intermediate.authority.notAfter > this.#now()) return intermediate.authority;
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      'the server has no intermediate CA that is valid now: see its log for why the key manager did not sign one',
    );
  }

  /** Makes one below this authority, where there is none or it is due. */
  async prepare(parent: X509SigningAuthority): Promise<void> {
    const now = this.#now();
    const known = this.#byParent.get(parent.authorityId);
    const isBelowParent = known !== undefined && Buffer.compare(known.parent, parent.certificate.der) === 0;
    if (isBelowParent && now < known.renewAt && now + BACKDATE_SECONDS >= known.madeAt) return;
    const authority = await this.#make(parent, now);
    await this.#requireUsable(authority, now);
    const renewAt = now + (authority.notAfter - now) / 2;
    this.#byParent.set(parent.authorityId, { parent: parent.certificate.der, authority, madeAt: now, renewAt });
    this.#options.log.info('intermediate CA made', {
      authority_id: parent.authorityId,
      expires_at: authority.notAfter,
    });
  }

  /** The same, and forgets those below other authorities. @returns when it is due next, in Unix seconds */
  async keep(parent: X509SigningAuthority): Promise<number> {
    await this.prepare(parent);
    for (const id of this.#byParent.keys()) if (id !== parent.authorityId) this.#byParent.delete(id);
    return this.#byParent.get(parent.authorityId)?.renewAt ?? 0;
  }

  async #make(parent: X509SigningAuthority, now: number): Promise<X509SigningAuthority> {
    const { keyType, ttlSeconds, subject, trustDomain } = this.#options;
    const signer = await new MemoryKeys().generateKey('intermediate', keyType);
    const serialNumber = randomSerialNumber();
    const notAfter = Math.min(now + ttlSeconds, parent.notAfter);
    const certificate = await issueCaCertificate({
      issuer: parent,
      subjectPublicKeyInfo: signer.publicKey,
      // The serial number keeps the subjects of two generations apart, which verifiers look issuers up by.
      subject: encodeName({
        ...subject,
        organizationalUnit: ORGANIZATIONAL_UNIT,
        serialNumber: decimalSerialNumber(serialNumber),
      }),
      trustDomain,
      pathLength: 0,
      serialNumber,
      notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
      notAfter: new Date(notAfter * 1000),
    });
    return {
      signer,
      certificate: parseCertificate(certificate),
      intermediates: [certificate, ...parent.intermediates],
      authorityId: parent.authorityId,
      notAfter,
    };
  }

  /** A PKI above may allow no CA below the server's: whatever was signed would verify nowhere. */
  async #requireUsable(
    { signer, certificate, intermediates, notAfter }: X509SigningAuthority,
    now: number,
  ): Promise<void> {
    const { trustDomain, bundle, clock } = this.#options;
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const svid = await issueX509Svid({
      issuer: { signer, certificate },
      subjectPublicKeyInfo: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
      spiffeId: serverId(trustDomain),
      dnsNames: [],
      serialNumber: randomSerialNumber(),
      notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
      notAfter: new Date(notAfter * 1000),
    });
    try {
      validateX509Svid([svid, ...intermediates], bundle.current, clock());
    } catch (cause) {
      if (!isSpiffeError(cause)) throw cause;
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `nothing that an intermediate CA signs would verify, set ca_signing = "key_manager": ${cause.message}`,
        { cause },
      );
    }
  }

  #now(): number {
    return Math.floor(this.#options.clock().getTime() / 1000);
  }
}
