import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';

const line = z.object({
  at: z.number(),
  kind: z.enum(['x509', 'x509-error', 'jwt', 'jwt-error']),
  held: z.array(z.object({ id: z.string(), expiresAt: z.number() })).default([]),
  /** What a client found wrong with the answer. */
  fault: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});

/** What a workload was told, and when in milliseconds. */
export type Told = z.output<typeof line>;

export type Occupation = 'x509' | 'jwt';

/** What attestors see of a workload. */
export interface Place {
  readonly uid: number;
  readonly gid: number;
  readonly lane: string;
}

export interface WorkloadOptions {
  readonly executable: string;
  readonly socketPath: string;
  readonly place: Place;
  readonly seed: number;
  readonly onTold: (told: Told) => void;
}

/** The process of test/interop/workload-api/churn, of a user of its own. Needs root. Disposing kills it. */
export class Workload implements AsyncDisposable {
  readonly place: Place;
  readonly #child: ChildProcess;
  readonly #last = new Map<Occupation, Told>();

  private constructor(child: ChildProcess, { place, onTold }: WorkloadOptions) {
    this.place = place;
    this.#child = child;
    if (child.stdout === null) throw new Error('no output');
    createInterface({ input: child.stdout }).on('line', (text) => {
      const told = line.parse(JSON.parse(text));
      this.#last.set(told.kind.startsWith('x509') ? 'x509' : 'jwt', told);
      onTold(told);
    });
  }

  static async start(options: WorkloadOptions): Promise<Workload> {
    const { executable, socketPath, place, seed } = options;
    const { uid, gid, lane } = place;
    const child = spawn(executable, ['-socket', socketPath, '-seed', String(seed), '-lane', lane], {
      uid,
      gid,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child, 'spawn');
    return new Workload(child, options);
  }

  /** In the form of entries. */
  get selectors(): readonly string[] {
    const { uid, gid, lane } = this.place;
    return [`unix:uid:${uid}`, `unix:gid:${gid}`, `lane:${lane}`];
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The newest answer or refusal of one of its two occupations. */
  last(occupation: Occupation): Told | undefined {
    return this.#last.get(occupation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
