import { type NativeModule, newNativeModule } from '../addon/pkcs11-addon.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { CryptokiError, called, ignoringReturned } from './cryptoki-error.ts';
import { findToken, type TokenSelection } from './find-token.ts';
import { CKF } from './numbers.ts';
import type { FoundToken } from './protocol.ts';

/** What CK_TOKEN_INFO says where it has no limit of sessions, or does not tell: 0, and CK_UNAVAILABLE_INFORMATION in 32 bits. */
const NO_LIMIT: readonly number[] = [0, 0xffff_ffff];

/** A PKCS#11 module as one thread has it loaded. Its state is that of the process: whoever initializes it does so for all threads. */
export class Pkcs11Module {
  readonly native: NativeModule;
  #isSingleThreaded = false;

  private constructor(native: NativeModule) {
    this.native = native;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where the file is none */
  static load(path: string): Pkcs11Module {
    const native = newNativeModule();
    try {
      native.load(path);
    } catch (cause) {
      const advice = '"module_path" names the shared library that came with the token or HSM';
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `the PKCS#11 module "${path}" cannot be loaded: ${messageOf(cause)}; ${advice}`,
        { cause },
      );
    }
    return new Pkcs11Module(native);
  }

  /**
   * @throws CryptokiError
   * @throws SpiffeError `UNAVAILABLE` without such a token, `FAILED_PRECONDITION` with several
   */
  find(selection: TokenSelection): FoundToken {
    this.#initialize();
    const slots = called('C_GetSlotList', () => this.native.C_GetSlotList(true));
    return findToken(
      slots.flatMap((slot) => this.#tokenIn(slot)),
      selection,
    );
  }

  /** Ends all sessions of this process at a slot, of all threads. */
  closeAllSessions(slot: Uint8Array): void {
    ignoringReturned(() => called('C_CloseAllSessions', () => this.native.C_CloseAllSessions(Buffer.from(slot))));
  }

  /** Lets go of everything; no other thread may be in the module meanwhile. */
  finalize(): void {
    ignoringReturned(() => called('C_Finalize', () => this.native.C_Finalize()));
  }

  #initialize(): void {
    try {
      called('C_Initialize', () => this.native.C_Initialize({ flags: CKF.osLockingOk }));
    } catch (error) {
      if (!(error instanceof CryptokiError)) throw error;
      if (error.returned === 'CKR_CRYPTOKI_ALREADY_INITIALIZED') return;
      if (error.returned !== 'CKR_CANT_LOCK' && error.returned !== 'CKR_NEED_TO_CREATE_THREADS') throw error;
      called('C_Initialize', () => this.native.C_Initialize({ flags: 0 }));
      this.#isSingleThreaded = true;
    }
  }

  /** Nothing where the slot's token went meanwhile, or is not initialized. */
  #tokenIn(slot: Buffer): readonly FoundToken[] {
    try {
      const info = called('C_GetTokenInfo', () => this.native.C_GetTokenInfo(slot));
      if ((info.flags & CKF.tokenInitialized) === 0) return [];
      return [
        {
          label: trimmed(info.label),
          serial: trimmed(info.serialNumber),
          manufacturer: trimmed(info.manufacturerID),
          model: trimmed(info.model),
          flags: info.flags,
          slot: new Uint8Array(slot),
          isSingleThreaded: this.#isSingleThreaded,
          maxSessions: NO_LIMIT.includes(info.maxSessionCount) ? undefined : info.maxSessionCount,
        },
      ];
    } catch (error) {
      if (error instanceof CryptokiError) return [];
      throw error;
    }
  }
}

/** Without the blanks, or zeros, that fill a text up. */
function trimmed(text: string): string {
  return text.replace(/[\0 ]+$/, '');
}
