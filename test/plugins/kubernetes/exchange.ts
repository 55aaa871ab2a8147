import { readFileSync } from 'node:fs';

/** What a plugin asked of an API server, and what that answered. */
export interface Exchange {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
  /** JSON. */
  readonly body: unknown;
}

/** What a real API server answered; test/vectors/kube-apiserver/SOURCE says which, and in what case. */
export function recordedExchanges(name: string): readonly Exchange[] {
  return JSON.parse(readFileSync(new URL(`../../vectors/kube-apiserver/${name}.json`, import.meta.url), 'utf8'));
}
