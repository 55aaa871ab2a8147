import { servePlugin } from '../../plugin-sdk/index.ts';
import { gcpServerNodeAttestor } from './server.ts';

await servePlugin(gcpServerNodeAttestor);
