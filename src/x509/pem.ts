import { SpiffeError } from '../spiffe/error.ts';

const MAX_PEM_LENGTH = 4 * 1024 * 1024;
const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----$/;

/** One block with its final newline. Source: RFC 7468 §2, §3 (64 characters a line). */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/**
 * The blocks with this label in order of appearance; text around them and blocks of other labels are passed over.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for a block that does not end or is no base64, and for over 4 MiB of text.
 * @see RFC 7468 §2 (explanatory text), §3
 */
export function decodePem(text: string, label: string): Uint8Array[] {
  if (text.length > MAX_PEM_LENGTH) throw new SpiffeError('ARGUMENT_INVALID', 'PEM text is larger than 4 MiB');
  const blocks: Uint8Array[] = [];
  let open: { readonly label: string; readonly lines: string[] } | undefined;
  for (const untrimmed of text.split('\n')) {
    const line = untrimmed.trim();
    const [, edge, name = ''] = BOUNDARY.exec(line) ?? [];
    if (edge === 'BEGIN') {
      if (open !== undefined) throw pemInvalid(open.label, 'does not end before the next begins');
      open = { label: name, lines: [] };
    } else if (edge === 'END') {
      if (open?.label !== name) throw pemInvalid(name, 'ends without having begun');
      if (name === label) blocks.push(decodeBase64(open.lines.join(''), name));
      open = undefined;
    } else if (open !== undefined) {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw pemInvalid(open.label, 'does not end');
  return blocks;
}

function decodeBase64(text: string, label: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== text) throw pemInvalid(label, 'is not base64');
  return new Uint8Array(bytes);
}

const pemInvalid = (label: string, reason: string) =>
  new SpiffeError('ARGUMENT_INVALID', `PEM block "${label}" ${reason}`);
