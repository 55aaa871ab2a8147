/** Puts what differs from run to run under names that do not. */
export class TpmNormalizer {
  readonly #folders: readonly (readonly [path: string, name: string])[];
  readonly #hashes = new Map<string, string>();

  /** @param folders by what they are called on the page, the longest path first */
  constructor(folders: readonly (readonly [path: string, name: string])[]) {
    this.#folders = folders;
  }

  /** Whatever has this value is called by that name from now on. */
  name(value: string, name: string): void {
    this.#hashes.set(value, name);
  }

  apply(text: string): string {
    let named = text;
    for (const [path, name] of [...this.#folders, ...this.#hashes]) named = named.replaceAll(path, name);
    return named
      .replace(/\/tmp\/swtpm-\w+/g, '/tmp/swtpm-Qo3kZ1')
      .replace(/\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC/g, '2026-01-01 00:00:00 +0000 UTC')
      .replace(/^(Firmware +: )[\d.]+$/gm, '$132.25.16.35')
      .replace(/^(Specification +: ).*$/gm, '$1TPM 2.0, level 0, revision 1.64')
      .replace(/^(Algorithms +: ).*$/gm, '$1rsa, sha1, hmac, aes, sha256, sha384, sha512, rsassa, ecdsa, ecc, …')
      .replace(/^(Curves +: ).*$/gm, '$1p256, p384, p521, …')
      .replace(/^(Clock +: )\d+/gm, '$11842')
      .replace(/^(AK +: )[0-9a-f]{68}/gm, '$1000b1f…');
  }
}
