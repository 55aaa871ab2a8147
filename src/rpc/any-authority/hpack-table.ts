import { compressionError } from './hpack-error.ts';

/** Text of one character a byte. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
  /** Whoever passes it on must not put it into a table either. @see RFC 7541 §6.2.3 */
  readonly isNeverIndexed?: boolean;
}

/** Of the dynamic table, unless an endpoint's SETTINGS say otherwise. @see RFC 9113 §6.5.2 */
const MAX_TABLE_BYTES = 4096;
/** @see RFC 7541 §4.1 */
export const FIELD_OVERHEAD_BYTES = 32;

/** @see RFC 7541, Appendix A */
const STATIC_FIELDS: readonly HeaderField[] = (
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|' +
  ':status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|' +
  'accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|' +
  'content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|' +
  'cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|' +
  'last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|' +
  'server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map((field) => {
    const [name = '', ...words] = field.split(' ');
    return { name, value: words.join(' ') };
  });

/** The static table with the dynamic one of one direction of one connection behind it. @see RFC 7541 §2.3 */
export class HpackTable {
  /** The newest is the last. */
  #fields: HeaderField[] = [];
  #bytes = 0;
  #maxBytes = MAX_TABLE_BYTES;

  /** @throws Http2ConnectionError for an index that is beyond the table. */
  get(index: number): HeaderField {
    const found =
      index <= STATIC_FIELDS.length ? STATIC_FIELDS[index - 1] : this.#fields.at(STATIC_FIELDS.length - index);
    if (found === undefined) throw compressionError(`there is no header field ${index}`);
    return found;
  }

  /** @see RFC 7541 §4.4: a field that is larger than the table empties it. */
  add({ name, value }: HeaderField): void {
    const bytes = bytesOf(name, value);
    this.#evict(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    this.#fields.push({ name, value });
    this.#bytes += bytes;
  }

  /** @throws Http2ConnectionError for more than our SETTINGS allow. @see RFC 7541 §4.3 and §6.3 */
  resize(maxBytes: number): void {
    if (maxBytes > MAX_TABLE_BYTES)
      throw compressionError(`a table of ${maxBytes} bytes is more than ${MAX_TABLE_BYTES}`);
    this.#maxBytes = maxBytes;
    this.#evict(maxBytes);
  }

  #evict(maxBytes: number): void {
    let evicted = 0;
    for (const { name, value } of this.#fields) {
      if (this.#bytes <= maxBytes) break;
      this.#bytes -= bytesOf(name, value);
      evicted += 1;
    }
    if (evicted > 0) this.#fields = this.#fields.slice(evicted);
  }
}

export function bytesOf(name: string, value: string): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}
