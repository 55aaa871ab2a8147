import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { GO_FUNCTIONS } from './go-functions.ts';
import { LIST_FUNCTIONS } from './list-functions.ts';
import type { TemplateFunction } from './template-function.ts';
import { TEXT_FUNCTIONS } from './text-functions.ts';

/** Sprig's come last: its `slice` stands in the place of Go's, as it does for SPIRE. */
const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map(
  [GO_FUNCTIONS, TEXT_FUNCTIONS, LIST_FUNCTIONS].flatMap((functions) => Object.entries(functions)),
);

/** SPIRE takes them and we do not: what they give is no path, is not the same each time, or takes unbounded time. */
const ONLY_SPIRES = new Set(
  [
    'abbrev abbrevboth initials snakecase camelcase kebabcase wrap wrapWith quote squote cat indent nindent plural',
    'adler32sum seq b64dec b32enc b32dec dict set unset pluck keys pick omit merge mergeOverwrite mustMerge',
    'mustMergeOverwrite values dig chunk mustChunk uuidv4 regexMatch mustRegexMatch regexFindAll mustRegexFindAll',
    'regexFind mustRegexFind regexReplaceAll mustRegexReplaceAll regexReplaceAllLiteral mustRegexReplaceAllLiteral',
    'regexSplit mustRegexSplit regexQuoteMeta urlParse urlJoin html js urlquery println call',
  ].flatMap((names) => names.split(' ')),
);

export function findFunction(name: string): TemplateFunction | undefined {
  return FUNCTIONS.get(name);
}

export function unsupportedFunction(name: string): SpiffeError {
  const supported = [...FUNCTIONS.keys()].sort().join(', ');
  const reason = ONLY_SPIRES.has(name)
    ? `the template calls "${name}", one of SPIRE’s functions that is not supported here`
    : `the template calls ${quoteText(name)}, which is no function`;
  return new SpiffeError('CONFIG_INVALID', `${reason}: there are ${supported}`);
}
