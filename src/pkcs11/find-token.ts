import { SpiffeError } from '../spiffe/error.ts';

/** Which token to use: that of a label, of a serial number, or of both. */
export interface TokenSelection {
  readonly label?: string | undefined;
  readonly serial?: string | undefined;
}

/** A token as its module shows it, without the blanks at the end of its texts. */
export interface TokenFacts {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  /** CKF_… of CK_TOKEN_INFO. */
  readonly flags: number;
}

/** An error says which other tokens there are, and of many the first ones. */
const MAX_NAMED = 8;

/**
 * The one token that is meant.
 *
 * @throws SpiffeError `UNAVAILABLE` where there is none, `FAILED_PRECONDITION` where there are several
 */
export function findToken<Token extends TokenFacts>(tokens: readonly Token[], selection: TokenSelection): Token {
  const { label, serial } = selection;
  const found = tokens.filter(
    (token) => (label === undefined || token.label === label) && (serial === undefined || token.serial === serial),
  );
  const [only] = found;
  if (only === undefined) {
    const others = tokens.length === 0 ? 'it has no token' : `its tokens are ${listTokens(tokens)}`;
    throw new SpiffeError('UNAVAILABLE', `the PKCS#11 module has no token with ${describe(selection)}: ${others}`);
  }
  if (found.length === 1) return only;
  const advice =
    new Set(found.map((token) => token.serial)).size === found.length
      ? 'say which one by "token_serial"'
      : 'they cannot be told apart, so initialize one of them with another label';
  throw new SpiffeError(
    'FAILED_PRECONDITION',
    `the PKCS#11 module has ${found.length} tokens with ${describe(selection)}: ${listTokens(found)}; ${advice}`,
  );
}

export function describe({ label, serial }: TokenSelection): string {
  return [
    ...(label === undefined ? [] : [`the label ${JSON.stringify(label)}`]),
    ...(serial === undefined ? [] : [`the serial number ${JSON.stringify(serial)}`]),
  ].join(' and ');
}

function listTokens(tokens: readonly TokenFacts[]): string {
  const named = tokens
    .slice(0, MAX_NAMED)
    .map(({ label, serial }) => `${JSON.stringify(label)} (serial number ${JSON.stringify(serial)})`);
  return [...named, ...(tokens.length > MAX_NAMED ? [`${tokens.length - MAX_NAMED} more`] : [])].join(', ');
}
