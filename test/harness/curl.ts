import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CurlAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Asks with curl, a client that is not ours. @throws where there is no answer */
export async function curl(url: string, ...args: readonly string[]): Promise<CurlAnswer> {
  const format = '\\n%{http_code} %{content_type}';
  const { stdout } = await run('curl', ['--silent', '--show-error', '--write-out', format, ...args, url]);
  const end = stdout.lastIndexOf('\n');
  const [status, contentType = ''] = stdout.slice(end + 1).split(' ');
  return { status: Number(status), contentType, body: stdout.slice(0, end) };
}
