import { StringDecoder } from 'node:string_decoder';

const MAX_LINES = 10_000;
/** More of a line is not kept; that it was longer is. */
const MAX_LINE_CHARACTERS = 128 * 1024;

/** What a plugin wrote to stderr, line by line, over all of its starts; no more of it than can be looked at. */
export class StderrLines {
  readonly lines: string[] = [];

  /** @returns takes the bytes of one process */
  newSource(): (chunk: Uint8Array) => void {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    return (chunk) => {
      if (this.lines.length >= MAX_LINES) return;
      const [first = '', ...others] = decoder.write(Buffer.from(chunk)).split('\n');
      rest = `${rest}${first}`.slice(0, MAX_LINE_CHARACTERS);
      for (const next of others) {
        if (this.lines.length < MAX_LINES) this.lines.push(rest);
        rest = next.slice(0, MAX_LINE_CHARACTERS);
      }
    };
  }
}
