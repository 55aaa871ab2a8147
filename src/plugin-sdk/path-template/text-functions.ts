import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { asciiIn, numberIn, type TemplateFunctions, taking, takingTexts, textIn } from './template-function.ts';
import { formatValue, MAX_TEXT_LENGTH, templateFailure } from './values.ts';

/** What Go calls white space. Source: unicode.IsSpace */
const WHITE_SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const OUTER_SPACE = new RegExp(`^${WHITE_SPACE}+|${WHITE_SPACE}+$`, 'g');

/** Functions of texts, the text last. Source: the Sprig documentation. */
export const TEXT_FUNCTIONS: TemplateFunctions = {
  trim: takingTexts(1, 'trim', (text = '') => text.replace(OUTER_SPACE, '')),
  upper: takingTexts(1, 'upper', (text = '') => text.toUpperCase()),
  lower: takingTexts(1, 'lower', (text = '') => text.toLowerCase()),
  title: taking(1, ([text]) =>
    asciiIn(text, 'title').replace(/(?<![A-Za-z0-9_])[a-z]/g, (letter) => letter.toUpperCase()),
  ),
  untitle: taking(1, ([text]) => asciiIn(text, 'untitle').replace(/(?<=^|\s)[A-Z]/g, (letter) => letter.toLowerCase())),
  swapcase: taking(1, ([text]) =>
    asciiIn(text, 'swapcase').replace(/[A-Za-z]/g, (letter) =>
      letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase(),
    ),
  ),
  nospace: taking(1, ([text]) => asciiIn(text, 'nospace').replace(/[\t-\r ]/g, '')),
  trimAll: takingTexts(2, 'trimAll', (cut = '', text = '') => trimAll(cut, text)),
  trimPrefix: takingTexts(2, 'trimPrefix', (prefix = '', text = '') =>
    text.startsWith(prefix) ? text.slice(prefix.length) : text,
  ),
  trimSuffix: takingTexts(2, 'trimSuffix', (suffix = '', text = '') =>
    text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  contains: takingTexts(2, 'contains', (part = '', text = '') => text.includes(part)),
  hasPrefix: takingTexts(2, 'hasPrefix', (prefix = '', text = '') => text.startsWith(prefix)),
  hasSuffix: takingTexts(2, 'hasSuffix', (suffix = '', text = '') => text.endsWith(suffix)),
  replace: takingTexts(3, 'replace', (old = '', by = '', text = '') => text.replaceAll(old, () => by)),
  repeat: taking(2, ([count, text]) => repeat(numberIn(count, 'repeat'), textIn(text, 'repeat'))),
  trunc: taking(2, ([length, text]) => trunc(numberIn(length, 'trunc'), asciiIn(text, 'trunc'))),
  substr: taking(3, ([start, end, text]) =>
    substr(numberIn(start, 'substr'), numberIn(end, 'substr'), asciiIn(text, 'substr')),
  ),
  splitList: takingTexts(2, 'splitList', (separator = '', text = '') =>
    separator === '' ? [...text] : text.split(separator),
  ),
  toString: taking(1, ([value]) => formatValue(value)),
  sha1sum: takingTexts(1, 'sha1sum', (text = '') => createHash('sha1').update(text).digest('hex')),
  sha256sum: takingTexts(1, 'sha256sum', (text = '') => createHash('sha256').update(text).digest('hex')),
  b64enc: takingTexts(1, 'b64enc', (text = '') => Buffer.from(text).toString('base64')),
  base: takingTexts(1, 'base', (path = '') => (path === '' ? '.' : posix.basename(path) || '/')),
  dir: takingTexts(1, 'dir', (path = '') => clean(path.slice(0, path.lastIndexOf('/') + 1))),
  clean: takingTexts(1, 'clean', (path = '') => clean(path)),
  ext: takingTexts(1, 'ext', (path = '') => /\.[^./]*$/.exec(path)?.[0] ?? ''),
  isAbs: takingTexts(1, 'isAbs', (path = '') => path.startsWith('/')),
  fail: takingTexts(1, 'fail', (reason = '') => {
    throw templateFailure(`it fails with ${JSON.stringify(reason)}`);
  }),
};

function trimAll(cut: string, text: string): string {
  const characters = [...text];
  const isCut = (character: string) => cut.includes(character);
  const start = characters.findIndex((character) => !isCut(character));
  if (start === -1) return '';
  return characters.slice(start, characters.findLastIndex((character) => !isCut(character)) + 1).join('');
}

function repeat(count: number, text: string): string {
  if (count >= 0 && count * text.length <= MAX_TEXT_LENGTH) return text.repeat(count);
  throw templateFailure(`"repeat" is asked for ${count} times ${text.length} characters`);
}

function trunc(length: number, text: string): string {
  if (length < 0 && text.length + length > 0) return text.slice(length);
  return length >= 0 && text.length > length ? text.slice(0, length) : text;
}

function substr(start: number, end: number, text: string): string {
  const from = Math.max(start, 0);
  const to = start >= 0 && (end < 0 || end > text.length) ? text.length : end;
  if (from <= to && to <= text.length) return text.slice(from, to);
  throw templateFailure(`"substr" is asked for ${start} to ${end} of ${text.length} characters`);
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
