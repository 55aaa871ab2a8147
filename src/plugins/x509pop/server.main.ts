import { servePlugin } from '../../plugin-sdk/index.ts';
import { popServerNodeAttestor } from './server.ts';

await servePlugin(popServerNodeAttestor);
