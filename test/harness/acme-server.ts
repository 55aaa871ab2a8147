import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { freePort } from './free-port.ts';
import { buildGo } from './go.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

const MODULE = fileURLToPath(new URL('../interop/acme-server', import.meta.url));

export interface AcmeServerOptions {
  /** Where it looks for the answers to challenges. */
  readonly challengePort: number;
  readonly validitySeconds: number;
}

/** Pebble, in a process of its own. Disposing ends it. */
export interface AcmeServer extends AsyncDisposable {
  readonly directoryUrl: string;
  /** PEM file with the authority of its API. */
  readonly apiCaPath: string;
  readonly apiCa: string;
  /** PEM file with the root of what it issues. */
  readonly rootPath: string;
}

export async function startAcmeServer({ challengePort, validitySeconds }: AcmeServerOptions): Promise<AcmeServer> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTemporaryFolder());
  const authority = await TestAuthority.create('acme.test');
  const { certificatePem, privateKeyPem } = await authority.issueLeaf({ dnsNames: ['localhost'] });
  const apiCa = encodePem('CERTIFICATE', authority.certificate.der);
  await writeFile(folder.join('api.pem'), certificatePem);
  await writeFile(folder.join('api.key'), privateKeyPem);
  await writeFile(folder.join('api-ca.pem'), apiCa);
  const port = await freePort();
  const flags = [
    ...['-listen', `127.0.0.1:${port}`, '-dns', `127.0.0.1:${await freePort()}`],
    ...['-tlsPort', String(challengePort), '-validity', String(validitySeconds)],
    ...['-certificate', folder.join('api.pem'), '-key', folder.join('api.key')],
  ];
  const child = spawn(await buildGo(MODULE, 'server'), flags, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0' },
  });
  const closed = once(child, 'close');
  stack.defer(async () => {
    child.stdin.end();
    await closed;
  });
  let printed = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    printed += String(chunk);
    if (printed.includes('ready')) break;
  }
  await writeFile(folder.join('root.pem'), printed.replace('ready', ''));
  const running = stack.move();
  return {
    directoryUrl: `https://localhost:${port}/dir`,
    apiCaPath: folder.join('api-ca.pem'),
    apiCa,
    rootPath: folder.join('root.pem'),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
