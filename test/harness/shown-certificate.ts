import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';

/** The serial number of the certificate that a server shows to OpenSSL's client. */
export async function shownSerial(port: number, startTls?: 'postgres' | 'mysql'): Promise<string> {
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    ...(startTls === undefined ? [] : ['-starttls', startTls]),
  ];
  const child = spawn('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  return serialOf(await text(child.stdout));
}

/** The serial number of the certificate that an HTTP/2 server shows to a new connection, of a client that checks nothing. */
export async function shownSerialOverHttp2(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  socket.once('secureConnect', () => resolve(socket.getPeerX509Certificate()?.serialNumber ?? 'none'));
  socket.once('error', reject);
  return await promise.finally(() => socket.destroy());
}

/** The serial number of the first certificate of a file. */
export async function writtenSerial(path: string): Promise<string> {
  return serialOf(await readFile(path, 'utf8'));
}

function serialOf(output: string): string {
  const [pem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(output) ?? [];
  if (pem === undefined) throw new Error(`there is no certificate in: ${output}`);
  return new X509Certificate(pem).serialNumber;
}
