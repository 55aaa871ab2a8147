import { optionalText, z } from '../../plugin-sdk/index.ts';

/** `plugin_data` of the agent's `x509pop` node attestor: docs/plugins/x509pop.md. */
export const popAgentConfig = z
  .strictObject({
    private_key_path: optionalText,
    certificate_path: optionalText,
    intermediates_path: optionalText,
    /** `unix:///path`, or a path. */
    spiffe_endpoint_socket: optionalText,
  })
  .transform((raw, ctx) => {
    const { private_key_path, certificate_path, intermediates_path, spiffe_endpoint_socket: socket } = raw;
    const refuse = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    if (socket !== undefined) {
      const socketPath = socket.replace(/^unix:(\/\/)?(?=\/)/, '');
      if (socketPath.startsWith('/')) return { kind: 'workload-api' as const, socketPath };
      refuse('spiffe_endpoint_socket', 'must be a Unix socket, such as "unix:///run/spire/agent.sock"');
      return z.NEVER;
    }
    if (private_key_path !== undefined && certificate_path !== undefined) {
      return { kind: 'files' as const, private_key_path, certificate_path, intermediates_path };
    }
    const needed = 'is needed: the file in PEM, or "spiffe_endpoint_socket" in its place';
    if (private_key_path === undefined) refuse('private_key_path', needed);
    if (certificate_path === undefined) refuse('certificate_path', needed);
    return z.NEVER;
  });
export type PopAgentConfig = z.output<typeof popAgentConfig>;
export type PopFiles = Extract<PopAgentConfig, { kind: 'files' }>;
