import type { KeyType } from '../../src/x509/signer.ts';

/** What a process is told that calls a module in a loop. */
export type ToOwnRate =
  | {
      readonly kind: 'open';
      readonly modulePath: string;
      readonly label: string;
      readonly pin: string;
      readonly keyType: KeyType;
      readonly threads: number;
    }
  | { readonly kind: 'turn'; readonly seconds: number };

export type FromOwnRate =
  | { readonly kind: 'opened' }
  | { readonly kind: 'turned'; readonly operations: number; readonly seconds: number }
  | { readonly kind: 'failed'; readonly reason: string };
