const MAX_QUOTED_CHARACTERS = 200;

/** `text` as a JSON string for a message, its control characters escaped, cut after 200 characters. */
export function quoteText(text: string): string {
  if (text.length <= MAX_QUOTED_CHARACTERS) return JSON.stringify(text);
  return `${JSON.stringify(text.slice(0, MAX_QUOTED_CHARACTERS))}…`;
}
