import { SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';

const MAX_NAME_CHARACTERS = 253;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/iu;

/**
 * A DNS name that a certificate may carry: ASCII labels, of which the first may be `*`.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`
 * @see RFC 1123 §2.1 (labels), RFC 1035 §2.3.4 (lengths), RFC 6125 §6.4.3 (wildcard)
 */
export function requireDnsName(name: string): void {
  if (name === '') throw new SpiffeError('ARGUMENT_INVALID', 'DNS name is empty');
  if (name.length > MAX_NAME_CHARACTERS) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `DNS name ${quoteText(name)} is longer than ${MAX_NAME_CHARACTERS} characters`,
    );
  }
  const labels = name.split('.');
  const rest = labels[0] === '*' && labels.length > 1 ? labels.slice(1) : labels;
  for (const label of rest) {
    if (LABEL.test(label)) continue;
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `DNS name ${quoteText(name)} has the label ${quoteText(label)}: 1 to 63 letters, digits and inner hyphens; "*" may stand first and alone`,
    );
  }
}
