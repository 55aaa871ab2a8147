/**
 * The words of a command's arguments as one text, such as `server --name "two words"`. Double quotes keep blanks together,
 * two of them inside quotes stand for one; nothing else has a meaning, as no shell reads it.
 *
 * @returns undefined where a quote does not end
 */
export function splitArguments(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (character === '"' && isQuoted && text[index + 1] === '"') {
      word = `${word ?? ''}"`;
      index++;
    } else if (character === '"') {
      isQuoted = !isQuoted;
      word ??= '';
    } else if (!isQuoted && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = `${word ?? ''}${character}`;
    }
  }
  if (isQuoted) return undefined;
  return word === undefined ? words : [...words, word];
}
