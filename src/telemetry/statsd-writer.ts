import type { Label } from './label.ts';
import type { MetricWriter } from './push-sink.ts';
import type { SeriesId } from './registry.ts';
import type { MetricKind } from './series.ts';

/** Fits into an Ethernet frame, with the headers of IPv6 and UDP. */
const MAX_PACKET_BYTES = 1432;

/**
 * Lines as statsd reads them, or Datadog's agent, which has tags. Statsd has none: values of labels are further parts of the
 * name, as with SPIRE.
 */
export class StatsdWriter implements MetricWriter {
  readonly #style: 'statsd' | 'dogstatsd';
  readonly #send: (packet: Uint8Array) => void;
  /** What is before and what is behind a value, which stays the same. */
  readonly #texts = new WeakMap<SeriesId<MetricKind>, { readonly name: string; readonly tags: string }>();
  #lines: string[] = [];
  #bytes = 0;

  constructor(style: 'statsd' | 'dogstatsd', send: (packet: Uint8Array) => void) {
    this.#style = style;
    this.#send = send;
  }

  counter(id: SeriesId<MetricKind>, added: number): void {
    this.#write(id, added, 'c');
  }

  gauge(id: SeriesId<MetricKind>, value: number): void {
    this.#write(id, value, 'g');
  }

  sample(id: SeriesId<MetricKind>, value: number): void {
    this.#write(id, value, 'ms');
  }

  flush(): void {
    if (this.#lines.length === 0) return;
    this.#send(Buffer.from(this.#lines.join('\n')));
    this.#lines = [];
    this.#bytes = 0;
  }

  #write(id: SeriesId<MetricKind>, value: number, type: 'c' | 'g' | 'ms'): void {
    const { name, tags } = this.#textsOf(id);
    const line = `${name}:${formatValue(value)}|${type}${tags}`;
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#bytes + bytes > MAX_PACKET_BYTES) this.flush();
    this.#lines.push(line);
    this.#bytes += bytes;
  }

  #textsOf(id: SeriesId<MetricKind>): { readonly name: string; readonly tags: string } {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const texts =
      this.#style === 'statsd'
        ? { name: [...id.key, ...id.labels.map(({ value }) => value)].map(plain).join('.'), tags: '' }
        : { name: id.key.map(plain).join('.'), tags: tagsOf(id.labels) };
    this.#texts.set(id, texts);
    return texts;
  }
}

/** Without the exponent that `String` gives to what is very small. */
function formatValue(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(6);
}

function tagsOf(labels: readonly Label[]): string {
  const tags = labels.map(({ name, value }) => `${plain(name)}:${value.replace(/[|,#\n\r]/g, '_')}`);
  return tags.length === 0 ? '' : `|#${tags.join(',')}`;
}

/** What the lines give a meaning of its own. */
function plain(text: string): string {
  return text.replace(/[:|@#,\s]/g, '_');
}
