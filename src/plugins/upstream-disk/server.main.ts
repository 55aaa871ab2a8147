import { servePlugin } from '../../plugin-sdk/index.ts';
import { upstreamDisk } from './upstream-authority.ts';

await servePlugin(upstreamDisk);
