import { encodeJsonMessage, JsonMessage, SpiffeError } from '../../plugin-sdk/index.ts';

/** Where the agent says that it serves the challenge. */
export interface HttpPayload {
  readonly hostname: string;
  readonly agentname: string;
  readonly port: number;
}

const MAX_MESSAGE_BYTES = { payload: 2048, challenge: 1024 } as const;
const MAX_TEXT_LENGTH = 255;
const NONCE = /^[A-Za-z0-9_=-]{16,128}$/;
const AGENT_NAME = /^[a-zA-Z][a-zA-Z0-9-]{0,31}$/;

export function encodePayload({ hostname, agentname, port }: HttpPayload): Uint8Array {
  return encodeJsonMessage({ hostname, agentname, port });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodePayload(bytes: Uint8Array): HttpPayload {
  const name = 'the payload of http_challenge';
  const message = JsonMessage.decode(bytes, { name, maxBytes: MAX_MESSAGE_BYTES.payload });
  const agentname = message.text('agentname', MAX_TEXT_LENGTH);
  const port = message.wholeNumber('port');
  if (!AGENT_NAME.test(agentname)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the agent’s name ${JSON.stringify(agentname)} is none: a letter, then letters, digits and "-", 32 characters at most`,
    );
  }
  if (port < 1 || port > 65535) throw new SpiffeError('ARGUMENT_INVALID', `${port} is no port`);
  return { hostname: message.text('hostname', MAX_TEXT_LENGTH), agentname, port };
}

export function encodeChallenge(nonce: string): Uint8Array {
  return encodeJsonMessage({ nonce });
}

/** @throws SpiffeError `ARGUMENT_INVALID` for what is no nonce: the agent serves to everybody what is in it */
export function decodeChallenge(bytes: Uint8Array): string {
  const name = 'the challenge of http_challenge';
  const nonce = JsonMessage.decode(bytes, { name, maxBytes: MAX_MESSAGE_BYTES.challenge, fields: ['nonce'] }).text(
    'nonce',
    1024,
  );
  if (NONCE.test(nonce)) return nonce;
  throw new SpiffeError('ARGUMENT_INVALID', `${name} has a nonce that is no base64 of 16 to 128 characters`);
}

/** Says which challenge is served now. SPIRE's server reads nothing of it, and its agent sends a line end alone. */
export function encodeAnswer(nonce: string): Uint8Array {
  return new Uint8Array(Buffer.from(`${nonce}\n`));
}

/** @throws SpiffeError `ARGUMENT_INVALID` for what is neither {@link encodeAnswer} of this challenge nor SPIRE's */
export function requireAnswer(bytes: Uint8Array, nonce: string): void {
  const answer = Buffer.from(bytes).toString('latin1');
  if (answer === '\n' || answer === `${nonce}\n`) return;
  throw new SpiffeError('ARGUMENT_INVALID', 'the answer of http_challenge is not the one to this challenge');
}

/** Path of the challenge on the agent's port. */
export function challengePath(agentname: string): string {
  return `/.well-known/spiffe/nodeattestor/http_challenge/${agentname}/challenge`;
}
