import { cidr, isSpiffeError, onEveryBlock, z } from '../../plugin-sdk/index.ts';
import { parseDnsPattern } from './dns-pattern.ts';

/** Below it only root listens. */
export const FIRST_NON_ROOT_PORT = 1024;

const pattern = z.string().transform((text, ctx) => {
  try {
    return parseDnsPattern(text);
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    ctx.addIssue(error.message);
    return z.NEVER;
  }
});

/** `plugin_data` of the server's `http_challenge` node attestor: docs/plugins/http-challenge.md. */
export const httpServerConfig = z
  .strictObject({
    allowed_dns_patterns: z.array(pattern).default([]),
    required_port: z.int().min(1).max(65535).optional(),
    allow_non_root_ports: z.boolean().default(true),
    tofu: z.boolean().default(true),
    /** Not SPIRE's: where challenges are fetched from, in CIDR. */
    allowed_networks: z.array(cidr).default([]),
  })
  .refine(
    ({ tofu, required_port: port, allow_non_root_ports }) => {
      const anybodyListens = port === undefined ? allow_non_root_ports : port >= FIRST_NON_ROOT_PORT;
      return tofu || !anybodyListens;
    },
    {
      ...onEveryBlock,
      path: ['tofu'],
      error:
        'can be false only where root alone listens: set "required_port" below 1024, or "allow_non_root_ports" to false',
    },
  )
  .refine(({ required_port: port = 0, allow_non_root_ports }) => allow_non_root_ports || port < FIRST_NON_ROOT_PORT, {
    ...onEveryBlock,
    path: ['required_port'],
    error: 'is one that "allow_non_root_ports" forbids: no agent would be admitted',
  });
export type HttpServerConfig = z.output<typeof httpServerConfig>;
