export { type RunningServer, type ServerOptions, startServer } from './server.ts';
export { validateServer } from './validate.ts';
