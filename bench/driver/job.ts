import type { NamedProcess } from '../process/proc.ts';
import type { LoadResult } from '../results.ts';

/** What the driver's process is asked to do, one at a time. */
export type Job =
  /** Makes TPMs and writes the CA of their endorsement certificates. */
  { readonly kind: 'make-tpms'; readonly caPath: string } | LoadJob;

export interface LoadJob {
  readonly kind: 'load';
  readonly load: LoadName;
  readonly target: Target;
  readonly callers: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** From call to call of one caller; absent, the next begins when one is answered. */
  readonly intervalMs?: number;
  /** Whose CPU time is taken, besides the driver's own. */
  readonly processes: readonly NamedProcess[];
}

/** Where the programs answer. */
export interface Target {
  readonly trustDomain: string;
  readonly adminSocket: string;
  readonly port: number;
  /** Of the Workload API, for loads of that. */
  readonly workloadSocket: string;
}

export const SERVER_LOADS = [
  'attest-join-token',
  'attest-tpm-p256',
  'attest-tpm-rsa',
  'mint-x509',
  'mint-jwt',
  'batch-x509',
  'sync',
  'get-entries',
  'list-entries',
  'create-entries',
] as const;
/** Of nodes with a TPM, over connections that are kept. */
export const KEPT_ATTESTATION_LOADS = ['attest-tpm-p256-kept', 'attest-tpm-rsa-kept', 'attest-measured-kept'] as const;
export const WORKLOAD_LOADS = ['wl-x509', 'wl-x509-new', 'wl-jwt', 'wl-jwt-new'] as const;
export type LoadName =
  | (typeof SERVER_LOADS)[number]
  | (typeof KEPT_ATTESTATION_LOADS)[number]
  | (typeof WORKLOAD_LOADS)[number];

export type JobAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly reason: string };
