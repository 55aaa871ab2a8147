import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { formatBundleDocument } from '../../src/spiffe/bundle-document.ts';
import { DerReader, Tag } from '../../src/x509/der.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { AS_WORKLOAD, fetchX509, workloadApi } from '../agent/workload.ts';
import { buildGo } from '../harness/go.ts';
import { OpenSslFolder } from '../x509/openssl.ts';
import type { Level } from './nested-servers.ts';

const GO_MODULE = fileURLToPath(new URL('../interop/workload-api', import.meta.url));
export const WORKLOAD = 'spiffe://example.org/workload';
export const AUDIENCE = 'somebody';

export interface Verdicts {
  /** Of certificates, the SVID among them. */
  readonly length: number;
  /** What openssl and go-spiffe say. */
  readonly by: readonly string[];
}

/** What is said of a good chain of so many certificates. */
export const verified = (length: number): Verdicts => ({ length, by: ['OK', WORKLOAD] });

/** Verifies what a workload has with openssl and go-spiffe, which know nothing of the servers that signed. */
export class NestedVerifier implements Disposable {
  readonly #files = new OpenSslFolder();
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  static async create(): Promise<NestedVerifier> {
    return new NestedVerifier(await buildGo(GO_MODULE, 'verify'));
  }

  /** Whether {@link WORKLOAD} has its identity yet. */
  async hasSvid(level: Level): Promise<boolean> {
    return (await findSvid(level)) !== undefined;
  }

  /** @param roots PEM */
  async verifyX509(level: Level, roots: string): Promise<Verdicts> {
    const certificates = split((await findSvid(level))?.x509Svid);
    const [svid = new Uint8Array(), ...above] = certificates;
    const [rootsFile, svidFile] = [this.#files.write('roots.pem', roots), this.#files.write('svid.pem', pem([svid]))];
    const untrusted = ['-untrusted', this.#files.write('above.pem', pem(above))];
    const byOpenSsl = attempt(() =>
      this.#files.run('verify', '-x509_strict', '-CAfile', rootsFile, ...untrusted, svidFile).replace(/^.*: /, ''),
    );
    const chain = this.#files.write('chain.pem', pem(certificates));
    return { length: certificates.length, by: [byOpenSsl, attempt(() => this.#go('x509', rootsFile, chain))] };
  }

  /** A JWT-SVID of {@link WORKLOAD} below `level`, by the bundle of the server of `judge`. */
  async verifyJwt(level: Level, judge: Level): Promise<{ readonly token: string; readonly by: string }> {
    const request = { audience: [AUDIENCE], spiffeId: WORKLOAD };
    const { svids } = await workloadApi(level.agent).fetchJWTSVID(request, AS_WORKLOAD);
    const token = svids[0]?.svid ?? '';
    const bundle = this.#files.write('bundle.json', formatBundleDocument(judge.domain.server.running.bundle));
    return { token, by: attempt(() => this.#go('jwt', bundle, AUDIENCE, this.#files.write('token', token))) };
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }

  #go(what: string, ...args: readonly string[]): string {
    return execFileSync(this.#program, [what, 'example.org', ...args], { encoding: 'utf8', stdio: 'pipe' });
  }
}

async function findSvid({ agent }: Level) {
  const { svids } = await fetchX509(agent).catch(() => ({ svids: [] }));
  return svids.find(({ spiffeId }) => spiffeId === WORKLOAD);
}

function split(ders: Uint8Array | undefined): readonly Uint8Array[] {
  const reader = new DerReader(ders ?? new Uint8Array());
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.readRaw(Tag.sequence, 'a certificate'));
  return certificates;
}

const pem = (ders: readonly Uint8Array[]) => ders.map((der) => encodePem('CERTIFICATE', der)).join('');

function attempt(work: () => string): string {
  try {
    return work().trim();
  } catch (error) {
    return String(error);
  }
}
