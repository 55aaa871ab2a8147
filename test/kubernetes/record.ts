import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ApiRelay } from './api-relay.ts';

// `RECORD_KUBERNETES=1 npm run test:k8s` writes what the API server answered to test/vectors/kube-apiserver.
const VECTORS = fileURLToPath(new URL('../vectors/kube-apiserver', import.meta.url));

/** Runs one case, and keeps what passed under its name where that is asked for. */
export async function record<T>(relay: ApiRelay, name: string, run: () => Promise<T>): Promise<T> {
  relay.exchanges.length = 0;
  try {
    return await run();
  } finally {
    if (process.env.RECORD_KUBERNETES !== undefined) {
      await mkdir(VECTORS, { recursive: true });
      await writeFile(`${VECTORS}/${name}.json`, `${JSON.stringify(relay.exchanges, undefined, 1)}\n`);
    }
  }
}
