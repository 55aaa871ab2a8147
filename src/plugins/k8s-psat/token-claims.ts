import { z } from '../../plugin-sdk/index.ts';
import type { TokenQuestion } from './token-review.ts';

const text = z.string().max(200);
const claims = z.object({
  iss: text.optional(),
  aud: z.union([text.transform((one) => [one]), z.array(text).max(10)]).optional(),
  exp: z.number().optional(),
});

/** Clocks of two machines agree that well. */
const LEEWAY_SECONDS = 60;

/**
 * What a token that was refused says of itself, for whoever has to find out why: nothing of it is verified.
 *
 * @returns the end of a sentence; empty where there is nothing to say
 */
export function describeClaims({ token, audiences }: TokenQuestion, now: Date): string {
  const found = claims.safeParse(parsePart(token.split('.')[1] ?? '')).data;
  if (found === undefined) return '';
  const { iss, aud, exp } = found;
  const nowSeconds = now.getTime() / 1000;
  const facts: string[] = [];
  if (exp !== undefined && exp < nowSeconds - LEEWAY_SECONDS) {
    facts.push(`it expired ${Math.round(nowSeconds - exp)} s ago: is the agent's token still replaced by the kubelet?`);
  }
  if (aud !== undefined && audiences.length > 0 && !aud.some((audience) => audiences.includes(audience))) {
    facts.push(
      `it is for ${quoteAll(aud)} and not for ${quoteAll(audiences)}: compare "audience" of the projected volume`,
    );
  }
  if (facts.length === 0 && iss !== undefined) {
    facts.push(
      `it was issued by ${JSON.stringify(iss)}, for ${quoteAll(aud ?? [])}: is it that of another cluster, or its pod gone?`,
    );
  }
  return facts.length === 0 ? '' : ` (by its own words, ${facts.join('; ')})`;
}

function parsePart(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function quoteAll(texts: readonly string[]): string {
  return texts.length === 0 ? 'nobody' : texts.map((each) => JSON.stringify(each)).join(', ');
}
