import { DatabaseError } from 'pg';
import { SpiffeError } from '../../spiffe/error.ts';

/** Classes and codes of PostgreSQL, and what becomes of them. Source: PostgreSQL documentation, appendix A. */
const UNIQUE_VIOLATION = '23505';
const FOREIGN_KEY_VIOLATION = '23503';
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';
const READ_ONLY = '25006';
const TOO_MANY_CONNECTIONS = '53300';
const DISK_FULL = '53100';
const NOT_ENCODABLE = '22021';
const IDLE_IN_TRANSACTION = '25P03';

/** What an operator can do, where PostgreSQL itself refuses. */
const ADVICE: Readonly<Record<string, string>> = {
  [DISK_FULL]: 'datastore is full: free space on the disk of PostgreSQL',
  '53200': 'datastore is out of memory: give PostgreSQL more',
  '28000': 'datastore refuses this user: correct the user in connection_string, or pg_hba.conf of PostgreSQL',
  '28P01': 'datastore refuses this user: correct user and password in connection_string',
  '3D000': 'datastore has no such database: create it, or correct its name in connection_string',
  '42501': 'datastore may not be accessed: grant this user all rights on its schema',
  '3F000': 'datastore has no such schema: create it, or correct search_path in connection_string',
  '42P01': 'datastore lacks a table: restore it from a backup',
  '42703': 'datastore lacks a column: restore it from a backup',
  XX001: 'datastore is damaged: restore it from a backup',
  XX002: 'datastore is damaged: rebuild its indexes, or restore it from a backup',
};

/** Nothing that was sent on this connection is of use any more. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return !(error instanceof TypeError || error instanceof RangeError);
  const { code = '' } = error;
  // 08: connection exception; 57P: the server goes down or comes up
  return code.startsWith('08') || code.startsWith('57P') || code === READ_ONLY || code === IDLE_IN_TRANSACTION;
}

/** Whether a connection that failed may go well soon: a certificate that is not trusted stays that. */
export function isWorthWaiting(error: unknown): boolean {
  if (!isConnectionLost(error) || error instanceof SpiffeError) return false;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return error instanceof DatabaseError || code === undefined || /^E(?!RR_)/.test(String(code));
}

/** Whether the same transaction would likely go well if it ran again: it was undone because of others. */
export function isWorthAnother(error: unknown): boolean {
  if (!(error instanceof SpiffeError)) return false;
  const { cause } = error;
  if (cause instanceof DatabaseError && (cause.code === SERIALIZATION_FAILURE || cause.code === DEADLOCK)) return true;
  return error.code === 'DATASTORE_UNAVAILABLE' && !(cause instanceof SpiffeError) && isConnectionLost(cause);
}

/** @returns an error that says what to do, without a word of what was stored or who connects. */
export function toPostgresError(error: unknown): unknown {
  if (error instanceof SpiffeError || error instanceof TypeError || error instanceof RangeError) return error;
  if (!(error instanceof DatabaseError)) return unavailable('datastore cannot be reached: call again', error);
  const { code = '' } = error;
  if (isConnectionLost(error)) return unavailable('datastore was lost meanwhile: call again', error);
  switch (code) {
    case SERIALIZATION_FAILURE:
    case DEADLOCK:
      return unavailable('datastore was changed by others at the same time: call again', error);
    case LOCK_NOT_AVAILABLE:
    case QUERY_CANCELED:
      return unavailable('datastore is held up by another call: call again', error);
    case TOO_MANY_CONNECTIONS:
      return unavailable('datastore has no connection left: lower max_open_conns, or raise it in PostgreSQL', error);
    case UNIQUE_VIOLATION:
      return new SpiffeError('ALREADY_EXISTS', 'another call stored the same meanwhile: look at it first', {
        cause: error,
      });
    case FOREIGN_KEY_VIOLATION:
      return new SpiffeError('FAILED_PRECONDITION', 'what this refers to, or what refers to it, changed: call again', {
        cause: error,
      });
    case NOT_ENCODABLE:
      return new SpiffeError('ARGUMENT_INVALID', 'a text has a character that the datastore cannot hold', {
        cause: error,
      });
  }
  const advice = ADVICE[code];
  return advice === undefined ? error : new SpiffeError('DATASTORE_UNUSABLE', advice, { cause: error });
}

/** A commit that nobody confirmed. What is raised here is not run again. */
export function outcomeUnknown(error: unknown): SpiffeError {
  return new SpiffeError(
    'DATASTORE_UNAVAILABLE',
    'datastore was lost as a change was stored: whether it is stored is not known, so look before you call again',
    { cause: new SpiffeError('DATASTORE_UNAVAILABLE', 'the connection ended', { cause: error }) },
  );
}

function unavailable(message: string, cause: unknown): SpiffeError {
  return new SpiffeError('DATASTORE_UNAVAILABLE', message, { cause });
}
