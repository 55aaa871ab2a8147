import type { ProxyHeader } from './proxy-header.ts';
import { parseProxyHeaderV1 } from './proxy-header-v1.ts';
import { parseProxyHeaderV2 } from './proxy-header-v2.ts';

const FIRST_OF_V1 = 0x50; // "P"
const FIRST_OF_V2 = 0x0d;

/**
 * Reads the header of the PROXY protocol at the start of a connection that carries TLS, whose own first byte is neither
 * version's.
 *
 * @returns undefined while more bytes are needed; a header without length where there is none.
 * @throws SpiffeError `ARGUMENT_INVALID`, as soon as the bytes cannot become a header.
 * @see HAProxy's proxy-protocol.txt, §2
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  switch (bytes[0]) {
    case undefined:
      return undefined;
    case FIRST_OF_V1:
      return parseProxyHeaderV1(bytes);
    case FIRST_OF_V2:
      return parseProxyHeaderV2(bytes);
    default:
      return { length: 0 };
  }
}
