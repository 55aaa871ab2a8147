import { servePlugin } from '../../plugin-sdk/index.ts';
import { azureServerNodeAttestor } from './server.ts';

await servePlugin(azureServerNodeAttestor);
