import { SpiffeError } from '../../spiffe/error.ts';

const MAX_AUDIENCES = 128;
/** Tokens are kept, a thousand of them; one with more than this fits into no HTTP header. */
const MAX_AUDIENCE_BYTES = 16 * 1024;

/** @throws SpiffeError `ARGUMENT_INVALID` for none, an empty one, or more than a token can carry. */
export function requireAudience(audience: readonly string[]): void {
  if (audience.length === 0 || audience.includes('')) {
    throw new SpiffeError('ARGUMENT_INVALID', 'audience must be specified');
  }
  if (audience.length > MAX_AUDIENCES) {
    throw new SpiffeError('ARGUMENT_INVALID', `${audience.length} audiences are too many, ${MAX_AUDIENCES} at most`);
  }
  const bytes = audience.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
  if (bytes > MAX_AUDIENCE_BYTES) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `audiences of ${bytes} bytes are too long, ${MAX_AUDIENCE_BYTES} at most`,
    );
  }
}
