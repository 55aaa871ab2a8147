import { type ChannelCredentials, credentials } from '@grpc/grpc-js';

/** TLS to a server that one of `authorities`, in PEM, vouches for by its name. */
export function trustingCredentials(authorities: Buffer): ChannelCredentials {
  return credentials.createSsl(authorities);
}
