import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CHECKOUT } from './process/checkout.ts';

export interface BenchOptions {
  /** What a server costs with more and more in its database, instead of all the rest. */
  readonly scale: boolean;
  /** Measures only what has a name that begins with one of these; everything where it is empty. */
  readonly only: readonly string[];
  /** Of each load, after its warm-up. */
  readonly seconds: number;
  /** At once, where a load does not say otherwise. */
  readonly callers: number;
  /** That listen to the server while changes are pushed. */
  readonly agents: number;
  /** Starts and handshakes are measured this often. */
  readonly runs: number;
  /** The built programs. */
  readonly dist: string;
  readonly jsonPath: string;
  /** Replaces the figures in docs/performance.md. */
  readonly writeDocs: boolean;
}

export const USAGE = `npm run bench -- [scale] [--only NAME,NAME] [--seconds N] [--callers N] [--runs N] [--agents N] [--json FILE] [--write-docs]`;

/** @throws Error that says what is wrong with the command line. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      seconds: { type: 'string', default: '5' },
      callers: { type: 'string', default: '8' },
      runs: { type: 'string', default: '5' },
      agents: { type: 'string', default: '1000' },
      dist: { type: 'string', default: join(CHECKOUT, 'dist') },
      json: { type: 'string', default: join(CHECKOUT, 'dist', 'bench.json') },
      'write-docs': { type: 'boolean', default: false },
    },
  });
  const [suite, ...others] = positionals;
  if (others.length > 0 || (suite !== undefined && suite !== 'scale')) {
    throw new Error(`"${positionals.join(' ')}" is no suite: there is "scale"`);
  }
  return {
    scale: suite === 'scale',
    only: values.only.split(',').filter((name) => name !== ''),
    seconds: positive('seconds', values.seconds),
    callers: Math.round(positive('callers', values.callers)),
    agents: Math.round(positive('agents', values.agents)),
    runs: Math.round(positive('runs', values.runs)),
    dist: values.dist,
    jsonPath: values.json,
    writeDocs: values['write-docs'],
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${name} is "${text}", it has to be a number above 0`);
  return value;
}
