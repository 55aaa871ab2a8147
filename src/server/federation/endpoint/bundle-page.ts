import type { Page } from '../../../http/page-server.ts';
import type { Bundle } from '../../../spiffe/bundle.ts';
import { formatBundleDocument } from '../../../spiffe/bundle-document.ts';

/** The server's own bundle as others fetch it, encoded once until it changes. SPIFFE Trust Domain and Bundle §4. */
export class BundlePage {
  readonly #own: { readonly current: Bundle };
  readonly #refreshHintSeconds: number;
  #encoded: { readonly bundle: Bundle; readonly page: Page } | undefined;

  constructor(own: { readonly current: Bundle }, refreshHintSeconds: number) {
    this.#own = own;
    this.#refreshHintSeconds = refreshHintSeconds;
  }

  render(): Page {
    const bundle = this.#own.current;
    if (this.#encoded?.bundle !== bundle) this.#encoded = { bundle, page: this.#encode(bundle) };
    return this.#encoded.page;
  }

  #encode(bundle: Bundle): Page {
    const document = formatBundleDocument({ ...bundle, refreshHintSeconds: this.#refreshHintSeconds });
    return { status: 200, contentType: 'application/json', text: Buffer.from(document) };
  }
}
