/** Puts what differs from run to run under names that do not, the same for the same thing. */
export class Normalizer {
  readonly #folder: string;
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  apply(text: string): string {
    return text
      .replaceAll(this.#folder, '.')
      .replace(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----/g, '-----BEGIN $1-----\n…\n-----END $1-----')
      .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'eyJ….….…')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, (id) =>
        this.#name('uuid', id),
      )
      .replace(/(Authority ID: |-authorityID )([\w-]{32,})/g, (_, word, id) => `${word}${this.#name('authority', id)}`)
      .replace(/(Process +: )\d+/g, '$11234')
      .replace(/(Uptime *: +)[\dhms.]+/g, '$12m0s')
      .replace(/(Memory +: )[\d.]+ [kMG]?B/g, '$164.0 MB')
      .replace(/(Sandbox +: ).*/g, '$1…')
      .replace(/"kid": "[\w-]+"/g, '"kid": "…"')
      .replace(/\b\d{24,}\b/g, 'SERIAL')
      .replace(/\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC/g, '2026-01-01 00:00:00 +0000 UTC')
      .replace(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '2026-01-01T00:00:00Z')
      .replace(
        /"(created_at|expires_at|expiresAt|issued_at|x509svid_expires_at|last_seen_at|spiffe_sequence|sequence_number|uptime)":("?)\d+\2/g,
        '"$1":$2N$2',
      )
      .replace(/"(x|y|n|asn1|public_key|x5c)":\s*(\[\s*)?"[^"]{20,}"/g, '"$1": $2"…"')
      .replace(/"cert_chain":\["[^\]]*\]/g, '"cert_chain":["…"]')
      .replace(/"spiffe_sequence": \d+/g, '"spiffe_sequence": N');
  }

  #name(kind: 'uuid' | 'authority', value: string): string {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = kind === 'uuid' ? `00000000-0000-4000-8000-${String(count).padStart(12, '0')}` : `AUTHORITY-${count}`;
    this.#names.set(value, name);
    return name;
  }
}
