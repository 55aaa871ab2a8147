// Loaded before a program (`node --import kill-at-step.ts?at=STEP&armed=FILE`): ends it as SIGKILL does at the first step of
// that name after FILE is there, and removes FILE with it, so that the next run goes on. The program knows nothing of it.
//
//   call METHOD      before a gRPC call of that method is sent
//   answer METHOD    once its answer is there, before anybody has seen it
//   open             once a temporary file is open, and empty
//   rename NAME      before one that is complete takes the name NAME
//   renamed NAME     behind that
import { existsSync, rmSync } from 'node:fs';
import files from 'node:fs/promises';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const parameters = new URL(import.meta.url).searchParams;
const [wanted, armed = ''] = [parameters.get('at'), parameters.get('armed') ?? undefined];

function reach(step: string): void {
  if (step !== wanted || !existsSync(armed)) return;
  rmSync(armed);
  process.kill(process.pid, 'SIGKILL');
}

const rename: typeof files.rename = files.rename;
files.rename = async (from, to) => {
  reach(`rename ${basename(String(to))}`);
  await rename(from, to);
  reach(`renamed ${basename(String(to))}`);
};

const open: typeof files.open = files.open;
files.open = async (path, flags, mode) => {
  const file = await open(path, flags, mode);
  if (flags === 'wx') reach('open');
  return file;
};

function watch(session: ClientHttp2Session): ClientHttp2Session {
  const request: (...given: never[]) => ClientHttp2Stream = session.request.bind(session);
  session.request = ((headers: { readonly ':path'?: string } | undefined, ...rest: never[]) => {
    const method = basename(headers?.[':path'] ?? '');
    reach(`call ${method}`);
    const stream = request(headers as never, ...rest);
    stream.prependListener('data', () => reach(`answer ${method}`));
    return stream;
  }) as typeof session.request;
  return session;
}

const connect = http2.connect;
http2.connect = ((...given: Parameters<typeof connect>) => watch(connect(...given))) as typeof connect;
syncBuiltinESMExports();
