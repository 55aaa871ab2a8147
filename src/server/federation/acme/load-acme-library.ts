import { Agent } from 'node:https';
import { machineRoots } from '../web-roots.ts';

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
    acmeSettings: { retryMaxAttempts: 0 }, // we try again by ourselves
  });
  return library;
}
