import { join } from 'node:path';
import { Daemon } from './daemon.ts';
import { freePort } from './free-port.ts';

const site = join(import.meta.dirname, '..', '..', 'tools', 'moto', 'packages');

/** A real moto: EC2, IAM, STS, Organizations, EKS and Auto Scaling, with accounts that are apart from each other. */
export class MotoServer implements AsyncDisposable {
  readonly url: string;
  readonly #daemon: Daemon;

  private constructor(url: string, daemon: Daemon) {
    this.url = url;
    this.#daemon = daemon;
  }

  static async start(): Promise<MotoServer> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const isReady = async () => (await fetch(`${url}/moto-api/data.json`)).ok;
    const environment = [`PYTHONPATH=${site}`, 'PYTHONDONTWRITEBYTECODE=1', 'MOTO_ENABLE_ISO_REGIONS=false'];
    const command = ['python3', '-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
    return new MotoServer(url, await Daemon.start('env', [...environment, ...command], isReady));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}
