import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { curl } from '../harness/curl.ts';
import { Daemon } from '../harness/daemon.ts';
import { freePort } from '../harness/free-port.ts';
import type { TemporaryFolder } from '../harness/temporary-folder.ts';

const run = promisify(execFile);
const READY_MS = 60_000;
const REGION = 'us-east-1';

export interface MinioOptions {
  /** Its data, and the authority that it trusts for the OIDC provider. */
  readonly folder: TemporaryFolder;
  /** PEM. */
  readonly webCa: string;
  readonly discoveryUrl: string;
  readonly clientId: string;
}

/** What a caller of S3 signs with. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A MinIO that has whoever shows a token of the OIDC provider read objects. */
export class Minio implements AsyncDisposable {
  readonly url: string;
  readonly root: S3Credentials;
  readonly #daemon: Daemon;
  readonly #roleArn: string;

  private constructor(daemon: Daemon, url: string, root: S3Credentials, clientId: string) {
    this.#daemon = daemon;
    this.url = url;
    this.root = root;
    this.#roleArn = `arn:minio:iam:::role/${createHash('sha1').update(clientId).digest('base64url')}`;
  }

  static async start({ folder, webCa, discoveryUrl, clientId }: MinioOptions): Promise<Minio> {
    const program = process.env.ASSAYER_TEST_MINIO;
    if (program === undefined) throw new Error('these tests are run by "npm run test:minio", which builds MinIO');
    await mkdir(folder.join('certs/CAs'), { recursive: true });
    await writeFile(folder.join('certs/CAs/web.crt'), webCa);
    const address = `127.0.0.1:${await freePort()}`;
    const root = { accessKeyId: 'administrator', secretAccessKey: randomBytes(24).toString('hex') };
    const args = [
      'server',
      '--quiet',
      '--address',
      address,
      '--certs-dir',
      folder.join('certs'),
      folder.join('objects'),
    ];
    const url = `http://${address}`;
    const isReady = async () => (await curl(`${url}/minio/health/ready`)).status === 200;
    const daemon = await Daemon.start(program, args, isReady, READY_MS, {
      PATH: process.env.PATH,
      HOME: folder.path,
      MINIO_ROOT_USER: root.accessKeyId,
      MINIO_ROOT_PASSWORD: root.secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_IDENTITY_OPENID_CONFIG_URL: discoveryUrl,
      MINIO_IDENTITY_OPENID_CLIENT_ID: clientId,
      MINIO_IDENTITY_OPENID_ROLE_POLICY: 'readonly',
    });
    return new Minio(daemon, url, root, clientId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  /** @returns the credentials. @throws Error with what MinIO answers in the place of them */
  async assumeRole(token: string): Promise<S3Credentials> {
    const query = new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      DurationSeconds: '900',
      RoleArn: this.#roleArn,
      WebIdentityToken: token,
    });
    const { status, body } = await curl(`${this.url}/`, '--request', 'POST', '--data', query.toString());
    const elementOf = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(body)?.[1] ?? '';
    if (status !== 200) throw new Error(`${status} ${elementOf('Code')}: ${elementOf('Message')}`);
    return {
      accessKeyId: elementOf('AccessKeyId'),
      secretAccessKey: elementOf('SecretAccessKey'),
      sessionToken: elementOf('SessionToken'),
    };
  }

  /** A request of S3, signed by curl. @returns what it has read; the status where that is not 200 */
  async s3(credentials: S3Credentials, method: 'GET' | 'PUT', path: string, content = ''): Promise<string> {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const { stdout } = await run('curl', [
      ...['--silent', '--write-out', '\n%{http_code}', '--request', method],
      ...['--aws-sigv4', `aws:amz:${REGION}:s3`, '--user', `${accessKeyId}:${secretAccessKey}`],
      ...['--header', `x-amz-content-sha256: ${createHash('sha256').update(content).digest('hex')}`],
      ...(sessionToken === undefined ? [] : ['--header', `x-amz-security-token: ${sessionToken}`]),
      ...(content === '' ? [] : ['--data-binary', content]),
      `${this.url}${path}`,
    ]);
    const [, body = '', status] = /^([\s\S]*)\n(\d+)$/.exec(stdout) ?? [];
    return status === '200' ? body : `status ${status}`;
  }
}
