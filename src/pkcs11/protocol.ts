import type { DigestHash } from '../x509/rsa-padding.ts';
import type { KeyType } from '../x509/signer.ts';
import type { SentCryptokiError } from './cryptoki-error.ts';
import type { TokenFacts, TokenSelection } from './find-token.ts';

/** A token that was found, as every thread can open sessions at it. */
export interface FoundToken extends TokenFacts {
  /** Eight bytes. */
  readonly slot: Uint8Array;
  /** The module wants to be called by one thread alone. */
  readonly isSingleThreaded: boolean;
  /** How many sessions the token has room for; undefined where it does not say. */
  readonly maxSessions: number | undefined;
}

/** Where a session belongs: sessions of an earlier connection are void. */
export interface Connection {
  readonly slot: Uint8Array;
  readonly number: number;
}

/** What names one key on the token: the label is of its id, CKA_ID of this very key. */
export interface KeyName {
  readonly label: string;
  readonly ckaId: Uint8Array;
}

export type SignatureScheme =
  | { readonly scheme: 'ecdsa'; readonly hash: DigestHash }
  | { readonly scheme: 'rsa-pkcs1'; readonly hash: DigestHash }
  /** @see RFC 8017 §8.1; the length is in bytes */
  | { readonly scheme: 'rsa-pss'; readonly hash: DigestHash; readonly saltLength: number };

/** The objects of one key. */
export interface ListedKey extends KeyName {
  readonly hasPrivateKey: boolean;
  /** SubjectPublicKeyInfo, DER; undefined where the token has no public key beside the private one. */
  readonly publicKey: Uint8Array | undefined;
}

/** What a thread is asked, and what it answers. */
export interface Calls {
  /** Finds the token. `anew` begins with what was before: closes all sessions of that slot, or ends the module and starts it again. */
  find: {
    request: {
      readonly selection: TokenSelection;
      readonly anew?: 'module' | { readonly slot: Uint8Array } | undefined;
    };
    answer: FoundToken;
  };
  /** Opens this thread's session, and logs in with it for all; without a PIN it only opens. */
  logIn: { request: { readonly at: Connection; readonly pin: string | undefined }; answer: undefined };
  list: { request: { readonly at: Connection; readonly prefix: string }; answer: readonly ListedKey[] };
  /** Makes a key that has signed once. The answer is its SubjectPublicKeyInfo, DER. */
  generate: {
    request: { readonly at: Connection; readonly name: KeyName; readonly type: KeyType };
    answer: Uint8Array;
  };
  destroy: { request: { readonly at: Connection; readonly names: readonly KeyName[] }; answer: undefined };
  /** The answer is ECDSA-Sig-Value in DER, or the bytes of RSA; undefined where the token has no such key. */
  sign: {
    request: {
      readonly at: Connection;
      readonly name: KeyName;
      readonly type: KeyType;
      readonly digest: Uint8Array;
      readonly how: SignatureScheme;
    };
    answer: Uint8Array | undefined;
  };
  /** Closes this thread's session; `endsModule` lets go of the whole module, which no other thread may be in. */
  close: { request: { readonly endsModule: boolean }; answer: undefined };
}

export type CallKind = keyof Calls;

export type ToThread = { readonly [Kind in CallKind]: { readonly kind: Kind } & Calls[Kind]['request'] }[CallKind];

export type FromThread =
  | { readonly kind: 'answer'; readonly value: unknown }
  /** The module returned an error. */
  | { readonly kind: 'returned'; readonly error: SentCryptokiError }
  /** One of our own. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };
