import { styleText } from 'node:util';

/** Tells a person what happens, a line a step with the time since the start. Silent where only the result is wanted. */
export class Narrator {
  readonly #start = performance.now();
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  heading(text: string): void {
    this.#write(`\n${styleText('bold', text)}\n`);
  }

  step(text: string, proof?: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(2).padStart(6);
    this.#write(
      `${styleText('dim', `${seconds} s`)}  ${text}${proof === undefined ? '' : styleText('dim', `  ${proof}`)}\n`,
    );
  }

  line(text = ''): void {
    this.#write(`${text}\n`);
  }
}
