import { servePlugin } from 'assayer/plugin-sdk';
import { server } from './server.ts';

await servePlugin(server);
