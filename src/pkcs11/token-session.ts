import type { CkAttribute, CkHandle, NativeModule } from '../addon/pkcs11-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { CryptokiError, called } from './cryptoki-error.ts';
import { CKA, CKF, CKO, CKS_RW_USER, CKU_USER } from './numbers.ts';
import type { Connection, KeyName } from './protocol.ts';

/** How many handles are asked for at once, and how many objects of a class a token may have before we give up. */
const BATCH = 100;
const MAX_OBJECTS = 20_000;

/** One session of one thread, in one connection. */
export class TokenSession {
  /** By which a connection's session is known from that of an earlier one. */
  readonly connection: number;
  readonly #native: NativeModule;
  readonly #session: CkHandle;
  readonly #privateKeys = new Map<string, CkHandle>();

  private constructor(native: NativeModule, session: CkHandle, connection: number) {
    this.#native = native;
    this.#session = session;
    this.connection = connection;
  }

  /** @throws CryptokiError */
  static open(native: NativeModule, { slot, number }: Connection): TokenSession {
    const flags = CKF.serialSession | CKF.rwSession;
    const session = called('C_OpenSession', () => native.C_OpenSession(Buffer.from(slot), flags));
    return new TokenSession(native, session, number);
  }

  /** For all sessions of this process. @throws CryptokiError */
  logIn(pin: string): void {
    try {
      called('C_Login', () => this.#native.C_Login(this.#session, CKU_USER, pin));
    } catch (error) {
      if (!(error instanceof CryptokiError && error.returned === 'CKR_USER_ALREADY_LOGGED_IN')) throw error;
    }
  }

  /** @throws CryptokiError `CKR_USER_NOT_LOGGED_IN`: without a log-in private objects are not there, and nothing says why */
  requireLoggedIn(): void {
    const { state } = called('C_GetSessionInfo', () => this.#native.C_GetSessionInfo(this.#session));
    if (state !== CKS_RW_USER) throw new CryptokiError('CKR_USER_NOT_LOGGED_IN', 0x101, 'C_GetSessionInfo');
  }

  close(): void {
    called('C_CloseSession', () => this.#native.C_CloseSession(this.#session));
  }

  /**
   * The handles of all objects that have these attributes.
   *
   * @throws CryptokiError
   * @throws SpiffeError `TOO_LARGE` for a token with more than anybody has
   */
  find(template: readonly CkAttribute[]): readonly CkHandle[] {
    called('C_FindObjectsInit', () => this.#native.C_FindObjectsInit(this.#session, template));
    const found: CkHandle[] = [];
    try {
      for (;;) {
        const batch = called('C_FindObjects', () => this.#native.C_FindObjects(this.#session, BATCH));
        found.push(...batch);
        if (batch.length === 0) return found;
        if (found.length > MAX_OBJECTS) {
          throw new SpiffeError(
            'TOO_LARGE',
            `the token has more than ${MAX_OBJECTS} keys, which nobody can look through`,
          );
        }
      }
    } finally {
      called('C_FindObjectsFinal', () => this.#native.C_FindObjectsFinal(this.#session));
    }
  }

  /** @returns the values in the order of `types`. @throws CryptokiError */
  read(object: CkHandle, ...types: readonly number[]): readonly Buffer[] {
    const wanted: { type: number; value?: Buffer }[] = types.map((type) => ({ type }));
    called('C_GetAttributeValue', () => this.#native.C_GetAttributeValue(this.#session, object, wanted));
    return wanted.map(({ value }) => value ?? Buffer.alloc(0));
  }

  generateKeyPair(...parts: TailOf<NativeModule['C_GenerateKeyPair']>): ReturnType<NativeModule['C_GenerateKeyPair']> {
    return called('C_GenerateKeyPair', () => this.#native.C_GenerateKeyPair(this.#session, ...parts));
  }

  destroy(object: CkHandle): void {
    called('C_DestroyObject', () => this.#native.C_DestroyObject(this.#session, object));
  }

  /** @param length of the signature that is expected, in bytes; a module may make a shorter or longer one. */
  sign(
    key: CkHandle,
    mechanism: Parameters<NativeModule['C_SignInit']>[1],
    data: Uint8Array,
    length: number,
  ): Uint8Array {
    called('C_SignInit', () => this.#native.C_SignInit(this.#session, mechanism, key));
    const signature = Buffer.alloc(length + ROOM_FOR_MORE);
    const written = called('C_Sign', () => this.#native.C_Sign(this.#session, Buffer.from(data), signature));
    return signature.subarray(0, written);
  }

  /** The private key of that name; undefined where the token has none. @throws CryptokiError */
  findPrivateKey(name: KeyName): CkHandle | undefined {
    const key = Buffer.from(name.ckaId).toString('hex');
    const known = this.#privateKeys.get(key);
    if (known !== undefined) return known;
    const [found] = this.find(privateKeyOf(name));
    if (found === undefined) {
      this.requireLoggedIn();
      return undefined;
    }
    this.#privateKeys.set(key, found);
    return found;
  }

  /** The next look for a key of that name is one at the token. */
  forget({ ckaId }: KeyName): void {
    this.#privateKeys.delete(Buffer.from(ckaId).toString('hex'));
  }
}

/** Beyond what a signature has by the standard, so that one which is too long is seen as such. */
const ROOM_FOR_MORE = 64;

type TailOf<Call> = Call extends (first: never, ...rest: infer Rest) => unknown ? Rest : never;

export const privateKeyOf = (name: KeyName): readonly CkAttribute[] => ofClass(CKO.privateKey, name);
export const publicKeyOf = (name: KeyName): readonly CkAttribute[] => ofClass(CKO.publicKey, name);

function ofClass(objectClass: number, { label, ckaId }: KeyName): readonly CkAttribute[] {
  return [
    { type: CKA.class, value: objectClass },
    { type: CKA.token, value: true },
    { type: CKA.label, value: label },
    { type: CKA.id, value: ckaId },
  ];
}
