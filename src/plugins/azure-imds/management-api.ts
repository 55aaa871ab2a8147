import { requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';

const NAME = 'Azure’s management interface';
const DEADLINE_MS = 15_000;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_PAGES = 200;
const GRAPH_VERSION = '2022-10-01';
const COMPUTE_VERSION = '2024-07-01';

/** One tenant's resources, as far as the server may see them. */
export class ManagementApi {
  readonly #base: URL;
  readonly #accessToken: () => Promise<string>;

  constructor(base: URL, accessToken: () => Promise<string>) {
    this.#base = base;
    this.#accessToken = accessToken;
  }

  /**
   * What a query finds in one subscription.
   *
   * @see Azure Resource Graph REST API, Resources
   */
  async query<T>(text: string, subscription: string, row: z.ZodType<T>, signal: AbortSignal): Promise<readonly T[]> {
    const body = { subscriptions: [subscription], query: text, options: { resultFormat: 'objectArray' } };
    const path = `/providers/Microsoft.ResourceGraph/resources?api-version=${GRAPH_VERSION}`;
    const answer = await this.#ask(below(this.#base, path), signal, JSON.stringify(body));
    return parseAnswer(answer, z.object({ data: z.array(row) }), NAME).data;
  }

  /**
   * The machines of a scale set, page by page.
   *
   * @see Azure Compute REST API, Virtual Machine Scale Set VMs, List
   */
  async *scaleSetMachines<T>(
    { subscription, resourceGroup, name }: Readonly<Record<'subscription' | 'resourceGroup' | 'name', string>>,
    item: z.ZodType<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T> {
    const [s, g, n] = [subscription, resourceGroup, name].map(encodeURIComponent);
    const path = `/subscriptions/${s}/resourceGroups/${g}/providers/Microsoft.Compute/virtualMachineScaleSets/${n}/virtualMachines`;
    let url: URL | undefined = below(this.#base, `${path}?api-version=${COMPUTE_VERSION}`);
    const shape = z.object({ value: z.array(item), nextLink: z.string().nullish() });
    for (let page = 0; url !== undefined; page++) {
      if (page === MAX_PAGES)
        throw new SpiffeError('TOO_LARGE', `${NAME} has more than ${MAX_PAGES} pages of machines`);
      const { value, nextLink }: z.output<typeof shape> = parseAnswer(await this.#ask(url, signal), shape, NAME);
      yield* value;
      url = nextLink === undefined || nextLink === null || nextLink === '' ? undefined : this.#requireOwn(nextLink);
    }
  }

  /** The token goes nowhere else. */
  #requireOwn(link: string): URL {
    const url = URL.canParse(link) ? new URL(link) : undefined;
    if (url?.origin === this.#base.origin) return url;
    throw new SpiffeError('UNAVAILABLE', `${NAME} goes on at another host, which is not asked`);
  }

  async #ask(url: URL, signal: AbortSignal, body?: string): Promise<Uint8Array> {
    const token = await this.#accessToken();
    const answer = await requestFromWeb({
      ...{ name: NAME, url, signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
      headers: { Accept: 'application/json', Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    if (answer.status === 200) return answer.body;
    if (answer.status === 401 || answer.status === 403) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `${NAME} lets this server not see the subscription (status ${answer.status}): give its application the role Reader there`,
      );
    }
    throw new SpiffeError('UNAVAILABLE', `${NAME} answered with status ${answer.status}`);
  }
}
