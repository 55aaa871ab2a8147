/** What a process that holds streams is told. */
export type ToHolder =
  /** Opens streams of `FetchX509SVID` on connections of its own, as this user. */
  | {
      readonly kind: 'open';
      readonly socketPath: string;
      readonly connections: readonly { readonly streams: number }[];
      readonly user: HolderUser | undefined;
    }
  /** Forgets what came so far, and tells when every stream has had another message. */
  | { readonly kind: 'mark' };

export interface HolderUser {
  readonly uid: number;
  readonly gid: number;
}

/** Times are of the clock that all processes have in common, in milliseconds. */
export type FromHolder =
  /** Every stream has had its first message. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'marked' }
  /** When each stream had its message. */
  | { readonly kind: 'told'; readonly timesMs: readonly number[] }
  | { readonly kind: 'failed'; readonly reason: string };
