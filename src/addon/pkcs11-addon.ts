import { loadAddon } from './load-addon.ts';

/** Eight bytes: the number of a slot, a session or an object, as the module has it in memory. */
export type CkHandle = Buffer;

export interface CkAttribute {
  readonly type: number;
  readonly value?: number | boolean | string | Uint8Array;
}

export interface CkMechanism {
  readonly mechanism: number;
  readonly parameter?: CkRsaPssParameters;
}

export interface CkRsaPssParameters {
  /** CK_PARAMS_RSA_PSS, by which the addon knows what the rest is. */
  readonly type: number;
  readonly hashAlg: number;
  readonly mgf: number;
  readonly saltLen: number;
}

/** Texts are padded with blanks, as the token has them. */
export interface CkTokenInfo {
  readonly label: string;
  readonly manufacturerID: string;
  readonly model: string;
  readonly serialNumber: string;
  readonly flags: number;
  /** 0 and 2^32 - 1: no limit, or none that is known. */
  readonly maxSessionCount: number;
}

/**
 * A PKCS#11 module, as the native part of `pkcs11js` shows it. Every function here waits for the module, and throws an
 * `Error` whose message is `<name of the CKR>:<its number>`.
 */
export interface NativeModule {
  load(path: string): void;
  C_Initialize(options: { readonly flags: number }): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): CkHandle[];
  C_GetTokenInfo(slot: CkHandle): CkTokenInfo;
  C_GetMechanismList(slot: CkHandle): number[];
  C_OpenSession(slot: CkHandle, flags: number): CkHandle;
  C_CloseSession(session: CkHandle): void;
  C_CloseAllSessions(slot: CkHandle): void;
  C_GetSessionInfo(session: CkHandle): { readonly state: number };
  C_Login(session: CkHandle, userType: number, pin: string): void;
  C_FindObjectsInit(session: CkHandle, template: readonly CkAttribute[]): void;
  C_FindObjects(session: CkHandle, most: number): CkHandle[];
  C_FindObjectsFinal(session: CkHandle): void;
  /** Writes into the attributes that it is given. */
  C_GetAttributeValue(session: CkHandle, object: CkHandle, wanted: { type: number; value?: Buffer }[]): void;
  C_GenerateKeyPair(
    session: CkHandle,
    mechanism: CkMechanism,
    publicKey: readonly CkAttribute[],
    privateKey: readonly CkAttribute[],
  ): { readonly publicKey: CkHandle; readonly privateKey: CkHandle };
  C_DestroyObject(session: CkHandle, object: CkHandle): void;
  C_SignInit(session: CkHandle, mechanism: CkMechanism, key: CkHandle): void;
  /** @returns how many bytes of `signature` it wrote */
  C_Sign(session: CkHandle, data: Buffer, signature: Buffer): number;
}

interface Pkcs11Addon {
  readonly PKCS11: new () => NativeModule;
}

/** @throws SpiffeError `FAILED_PRECONDITION` where the addon was not built for this machine. */
export function newNativeModule(): NativeModule {
  const { PKCS11 } = loadAddon('pkcs11') as Pkcs11Addon;
  return new PKCS11();
}
