import { Agent } from 'node:https';
import { machineRoots } from '../http/web-roots.ts';
import { messageOf } from '../spiffe/error.ts';

type AcmeLibrary = typeof import('./acme-library.ts');

const REQUEST_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

let loaded: Promise<AcmeLibrary> | undefined;

/** With limits for every request, and the roots of the machine. */
export function loadAcmeLibrary(): Promise<AcmeLibrary> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<AcmeLibrary> {
  const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const library: AcmeLibrary = await import(new URL(`./acme-library.${suffix}`, import.meta.url).href);
  Object.assign(library.axios.defaults, {
    timeout: REQUEST_TIMEOUT_MS,
    maxRedirects: 0,
    maxContentLength: MAX_ANSWER_BYTES,
    httpsAgent: new Agent({ ca: [...machineRoots()] }),
  });
  // The library's own handler waits and tries again, which we do ourselves, and stumbles where no answer came.
  library.axios.interceptors.response.clear();
  library.axios.interceptors.response.use(null, answerOf);
  return library;
}

/** Every answer is an error here, whatever its status: the library looks at that. @throws Error where there is none */
function answerOf(error: unknown): unknown {
  if (typeof error === 'object' && error !== null && 'response' in error && error.response !== undefined) {
    return error.response;
  }
  throw new Error(`the ACME server is not reached: ${messageOf(error)}`);
}
