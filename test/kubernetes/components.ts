import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('./components', import.meta.url));
const VERSION = '1.34.4';

/**
 * Builds a program of Kubernetes from the modules that `components/go.mod` pins. It takes minutes, once: it stays for later
 * runs, outside of the checkout.
 *
 * @returns its path
 */
export async function buildKubernetes(name: 'kubelet' | 'kube-apiserver'): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(await readFile(join(MODULE, file)));
  const folder = join(tmpdir(), 'assayer-test-go', `${hash.digest('hex').slice(0, 16)}-kubernetes`);
  const executable = join(folder, name);
  if (await exists(executable)) return executable;
  await mkdir(folder, { recursive: true });
  const unfinished = `${executable}.${process.pid}`;
  const variables = { gitVersion: `v${VERSION}`, gitMajor: '1', gitMinor: '34' };
  const flags = Object.entries(variables).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`);
  const build = ['build', '-p', '1', '-trimpath', '-ldflags', ['-s -w', ...flags].join(' '), '-o', unfinished];
  const child = spawn('nice', ['-n', '19', 'go', ...build, `k8s.io/kubernetes/cmd/${name}`], {
    cwd: MODULE,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`go could not build ${name}`);
  await rename(unfinished, executable);
  return executable;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
