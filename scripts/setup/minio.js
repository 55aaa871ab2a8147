import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { runCommand } from './run-command.js';
import { SetUpError } from './set-up-error.js';

const MODULE = join('test', 'minio', 'components');
const wanted = () => fingerprint({ paths: [join(MODULE, 'go.mod'), join(MODULE, 'go.sum')] }).slice(0, 16);

/** Where the program stays for later runs, of other checkouts too. */
export const minioProgram = () => join(tmpdir(), 'assayer-test-go', `${wanted()}-minio`, 'minio');

/** From the Go module that `components/go.mod` pins. */
export const minioStep = {
  isDone: () => existsSync(minioProgram()),
  title: () => 'builds MinIO, which takes 4 minutes of two idle cores, once',
  async run() {
    requireGo();
    const executable = minioProgram();
    mkdirSync(join(executable, '..'), { recursive: true });
    const unfinished = `${executable}.${process.pid}`;
    const args = ['go', 'build', '-mod=readonly', '-trimpath', '-ldflags', '-s -w', '-o', unfinished];
    await runCommand('nice', ['-n', '19', ...args, 'github.com/minio/minio'], { cwd: join(checkout, MODULE) });
    renameSync(unfinished, executable);
  },
};

function requireGo() {
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
  } catch {
    throw new SetUpError('MinIO is built with Go 1.24 or later, and no go is in PATH: see https://go.dev/doc/install');
  }
}
