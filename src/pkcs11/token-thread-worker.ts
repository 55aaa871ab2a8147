import { parentPort, workerData } from 'node:worker_threads';
import { isSpiffeError, messageOf } from '../spiffe/error.ts';
import { CryptokiError, ignoringReturned } from './cryptoki-error.ts';
import { destroyKey, generateKey, listKeys, sign } from './key-objects.ts';
import { Pkcs11Module } from './pkcs11-module.ts';
import type { Connection, FromThread, ToThread } from './protocol.ts';
import { TokenSession } from './token-session.ts';

// A thread that waits for the module in the place of the one that serves the plugin. It has one session, and does one thing at a time.

let known: Pkcs11Module | undefined;
let session: TokenSession | undefined;

function loaded(): Pkcs11Module {
  known ??= Pkcs11Module.load(String(workerData));
  return known;
}

/** This thread's session. One of an earlier connection is void, and its number may be another thread's by now. */
function sessionAt(at: Connection): TokenSession {
  if (session?.connection !== at.number) session = TokenSession.open(loaded().native, at);
  return session;
}

/**
 * A module may think that a call of before is still going on: with another session it starts from the beginning. The old one is closed
 * after that, as whoever closes the last one is logged out.
 */
function withSession<Result>(at: Connection, use: (session: TokenSession) => Result): Result {
  try {
    return use(sessionAt(at));
  } catch (error) {
    if (!(error instanceof CryptokiError && error.returned === 'CKR_OPERATION_ACTIVE')) throw error;
    const stuck = session;
    session = undefined;
    const open = sessionAt(at);
    ignoringReturned(() => stuck?.close());
    return use(open);
  }
}

/** Of a key that does not come to be, nothing stays. */
function generate({ at, name, type }: ToThread & { kind: 'generate' }): Uint8Array {
  withSession(at, (open) => destroyKey(open, name)); // there is none, but the session is fit for use now
  try {
    return generateKey(sessionAt(at), name, type);
  } catch (error) {
    ignoringReturned(() => withSession(at, (open) => destroyKey(open, name))); // where that fails too, it is found at the next start
    throw error;
  }
}

function answer(request: ToThread): unknown {
  switch (request.kind) {
    case 'find':
      if (request.anew === 'module') loaded().finalize();
      else if (request.anew !== undefined) loaded().closeAllSessions(request.anew.slot);
      return loaded().find(request.selection);
    case 'logIn':
      if (request.pin === undefined) sessionAt(request.at);
      else sessionAt(request.at).logIn(request.pin);
      return undefined;
    case 'list':
      return withSession(request.at, (open) => listKeys(open, request.prefix));
    case 'generate':
      return generate(request);
    case 'destroy':
      withSession(request.at, (open) => {
        for (const name of request.names) destroyKey(open, name);
      });
      return undefined;
    case 'sign':
      return withSession(request.at, (open) => sign(open, request.name, request));
    case 'close':
      ignoringReturned(() => session?.close());
      session = undefined;
      if (request.endsModule) known?.finalize();
      return undefined;
    default:
      return request satisfies never;
  }
}

function reply(request: ToThread): FromThread {
  try {
    const value = answer(request);
    // Of a view into a larger buffer all of that would be sent.
    return { kind: 'answer', value: value instanceof Uint8Array ? new Uint8Array(value) : value };
  } catch (error) {
    if (error instanceof CryptokiError) {
      const { returned, number, call } = error;
      return { kind: 'returned', error: { returned, number, call } };
    }
    if (isSpiffeError(error)) return { kind: 'refused', code: error.code, message: error.message };
    return { kind: 'failed', message: messageOf(error) };
  }
}

parentPort?.on('message', (request: ToThread) => parentPort?.postMessage(reply(request)));
