import type { z } from 'zod';

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'must be a text in quotes',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  array: 'must be a list, such as ["a", "b"]',
  object: 'must be a block, { … }',
  record: 'must be a block, { … }',
};

/** What a person is told where the schema has no words of its own. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? 'is required'
        : (EXPECTED[issue.expected] ?? `must be of type ${issue.expected}`);
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      if (issue.origin === 'number' || issue.origin === 'int') return `must be ${issue.minimum} at least`;
      return `must have ${issue.minimum} ${issue.origin === 'array' ? 'items' : 'characters'} at least`;
    case 'too_big':
      if (issue.origin === 'number' || issue.origin === 'int') return `must be ${issue.maximum} at most`;
      return `must have ${issue.maximum} ${issue.origin === 'array' ? 'items' : 'characters'} at most`;
    default:
      return undefined;
  }
}
