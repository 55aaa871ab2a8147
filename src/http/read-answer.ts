import type { ClientRequest, IncomingMessage } from 'node:http';

/** Sends a request without a body. @returns its answer, whose body is yet to be read */
export function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
  });
}

/** @param tooLarge what is thrown for a body beyond `maxBytes`; no more of it is read then. */
export async function readBody(response: IncomingMessage, maxBytes: number, tooLarge: () => Error): Promise<Buffer> {
  const refuse = () => {
    response.destroy();
    return tooLarge();
  };
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) throw refuse();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > maxBytes) throw refuse();
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer ended early');
  return Buffer.concat(chunks);
}
