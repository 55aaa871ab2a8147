/** SPIRE has the same. */
export const DEFAULTS = {
  tokenPath: '/var/run/secrets/tokens/spire-agent',
  audiences: ['spire-server'],
};
