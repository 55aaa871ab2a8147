import { servePlugin } from '../../plugin-sdk/index.ts';
import { awsServerNodeAttestor } from './server.ts';

await servePlugin(awsServerNodeAttestor);
